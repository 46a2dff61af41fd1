"""Classes by number of training images: more than `MANY_ABOVE`, in between, fewer than `FEW_BELOW`.

The limits are those of "Large-Scale Long-Tailed Recognition in an Open World" (CVPR 2019).
"""

MANY_ABOVE = 100
FEW_BELOW = 20
GROUPS = ("many", "medium", "few")
