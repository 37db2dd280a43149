"""Hostile calls of every public function, and what each of them should come to.

A call is written down as the text of Python, ``upsample.max_pool1d(input=numbers('f4', 1, 1, 4), kernel_size=2**40)``,
in the words of `fuzz.values`: what is drawn, what a failure prints and what the corpus stores are the same.
"""
