"""Measuring the pipeline beside what Triton alone can do, on the same images and models in one run."""
