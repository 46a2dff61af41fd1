"""Data sets, and the way from their images to training batches."""

from keras_gssl.data.image_data import ImageData, from_arrays
from keras_gssl.data.image_files import ImageFiles
from keras_gssl.data.image_folder import image_folder
from keras_gssl.data.listing import Listing, list_pictures
from keras_gssl.data.long_tail import long_tail_counts, long_tail_indices, long_tail_positions, subset_hash
from keras_gssl.data.pipeline import TrainingSet, evaluation_set, normalise
from keras_gssl.data.sources import DataNotFoundError, cifar10_lt, cifar100_lt, digits_lt
from keras_gssl.data.tiny_imagenet import tiny_imagenet

__all__ = [
    "DataNotFoundError",
    "ImageData",
    "ImageFiles",
    "Listing",
    "TrainingSet",
    "cifar100_lt",
    "cifar10_lt",
    "digits_lt",
    "evaluation_set",
    "from_arrays",
    "image_folder",
    "list_pictures",
    "long_tail_counts",
    "long_tail_indices",
    "long_tail_positions",
    "normalise",
    "subset_hash",
    "tiny_imagenet",
]
