"""What options call the parts of a training, without the parts: a command line needs no TensorFlow to be read.

`tests/runs/test_settings.py` holds these names against the classes.
"""

TASKS = ("flip", "lorot", "channels")
PLACEMENTS = ("together", "one", "apart")
GATES = ("frozen", "learned", "rewarded", "none", "look-ahead", "uniform", "random", "shuffled")
STEERING = ("look-ahead", "levels")
TASK_HEADS = ("class", "dense", "scaled-cosine")
AUGMENTATIONS = ("autoaugment", "randaugment", "cutout")
MIXINGS = ("none", "mixup", "cutmix")
SHAPES = ("linear", "cosine")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")

#: Class mixes of an export that have a name.
PRIORS = ("uniform", "training")
#: Ways to show what a classifier looks at.
EXPLANATIONS = ("Grad-CAM", "Grad-CAM++", "Score-CAM", "saliency")
