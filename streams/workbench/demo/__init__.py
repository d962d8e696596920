"""The demonstration: a simulated plant, or a folder of images, through every processor on real servers."""
