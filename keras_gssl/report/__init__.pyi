from .comparison import write_comparison as write_comparison
from .explanations import heat_maps as heat_maps
from .model_card import write_model_card as write_model_card
from .run_report import write_report as write_report
