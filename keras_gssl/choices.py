"""What options call the parts of a training, without the parts: a command line needs no TensorFlow to be read.

Names that stand for classes are held against those by `tests/runs/test_settings.py`; the others are used where they
count.
"""

TASKS = ("flip", "lorot", "channels")
#: How tasks share an image; see `TaskDraw`.
PLACEMENTS = ("together", "one", "apart")
GATES = ("frozen", "learned", "rewarded", "none", "look-ahead", "uniform", "random", "shuffled")
STEERING = ("look-ahead", "levels")
#: Kinds of heads for pretext tasks; "class" is like the class head.
TASK_HEADS = ("class", "dense", "scaled-cosine")
AUGMENTATIONS = ("resizedcrop", "autoaugment", "randaugment", "cutout")
MIXINGS = ("none", "mixup", "cutmix")
SHAPES = ("linear", "cosine")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")

#: Class mixes of an export that have a name.
PRIORS = ("uniform", "training")
#: Ways to show what a classifier looks at.
EXPLANATIONS = ("Grad-CAM", "Grad-CAM++", "Score-CAM", "saliency")
