"""Archives as data sets: a stranger's zip or tar becomes a folder of images, or a fault and no folder."""
