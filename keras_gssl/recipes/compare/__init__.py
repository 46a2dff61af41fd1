"""Does it help on my data? Methods times seeds on one data set, and what can be said of their differences."""
