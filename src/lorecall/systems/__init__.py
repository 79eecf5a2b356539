"""The systems a memory is compared with (SPEC section 7), each made for one person alone."""
