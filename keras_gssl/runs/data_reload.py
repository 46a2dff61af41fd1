"""The data set of a run, loaded again as its folder describes it."""

from __future__ import annotations

from keras_gssl.data.image_data import ImageData
from keras_gssl.data.imagenet import tiny_imagenet
from keras_gssl.data.pictures.arrays import image_arrays
from keras_gssl.data.pictures.folder import load_listing
from keras_gssl.data.pictures.listing import list_pictures
from keras_gssl.data.pictures.reading import Reading
from keras_gssl.data.sources import cifar10_lt, cifar100_lt, digits_lt
from keras_gssl.errors import UserError
from keras_gssl.runs.data_description import read_description
from keras_gssl.runs.folder import RunFolder

#: The functions that `ImageData.source` may name, and with them `image_folder`, whose pictures are listed with the run.
SOURCES = {each.__name__: each for each in (cifar10_lt, cifar100_lt, digits_lt, image_arrays, tiny_imagenet)}


def reload_data(folder: RunFolder, data_dir: str | None = None) -> ImageData:
    """The data set that a run was made with.

    Args:
        folder: The run.
        data_dir: Where the data set is now, if not where its own default says.

    Raises:
        UserError: The run was made with arrays, which are not kept.
    """
    about = read_description(folder)
    source = dict(about.get("source") or {})
    if not source:
        raise UserError(f"The data of the run in {folder.path} cannot be loaded again: it was given as arrays.")
    function, head = source.pop("function"), source.pop("head", None)
    if function == "image_folder":
        root, name = source.pop("root"), source.pop("name")
        listing = list_pictures(folder.manifest.check(folder.pictures), root=data_dir or root)
        loaded = load_listing(listing, Reading(cache="disk", **source), name, about)
    else:
        if data_dir is not None:
            if "data_dir" not in source:
                raise UserError(f"{about['name']} does not come from a folder: leave data_dir out.")
            source["data_dir"] = data_dir
        loaded = SOURCES[function](**source)
    return loaded.head(*head) if head else loaded
