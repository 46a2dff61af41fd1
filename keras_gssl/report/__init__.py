"""A run as one HTML page, several runs compared on one, and the model card."""

from keras_gssl.report.comparison import write_comparison
from keras_gssl.report.model_card import write_model_card
from keras_gssl.report.run_report import write_report

__all__ = ["write_comparison", "write_model_card", "write_report"]
