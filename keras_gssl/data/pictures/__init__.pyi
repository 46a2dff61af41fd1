from .decode import PictureError as PictureError
from .decode import read_picture as read_picture
from .files import ImageFiles as ImageFiles
from .folder import image_folder as image_folder
from .listing import Listing as Listing
from .listing import list_pictures as list_pictures
