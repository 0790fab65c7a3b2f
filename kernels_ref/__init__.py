"""NumPy reference kernels: one function per operator of `tensorc.topi`, plain and obviously right."""
