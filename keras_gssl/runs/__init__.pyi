from .folder import RunFolder as RunFolder
from .settings import METHODS as METHODS
from .settings import TrainingSettings as TrainingSettings
from .training import train as train
