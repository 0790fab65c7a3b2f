"""NumPy reference kernels, plain and obviously right, named as in `tensorc.topi`."""
