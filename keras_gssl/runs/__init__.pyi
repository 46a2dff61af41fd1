from .folder import RunFolder as RunFolder
from .methods import METHODS as METHODS
from .settings import TrainingSettings as TrainingSettings
from .training import train as train
