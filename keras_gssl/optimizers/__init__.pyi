from .adamw import AdamW as AdamW
from .muon import Muon as Muon
from .sgd import SGD as SGD
