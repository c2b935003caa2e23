"""Energy of a generation on somebody else's machines, from its tokens and the model's size.

``equations``   one equation a function, plain numbers in SI units
``hardware``    power, memory bandwidth and arithmetic of accelerators
``models``      parameter counts by name, packaged and your own
``serving``     what nobody tells a caller: hardware, batch, overheads, as ranges
``estimate``    ``generation_energy(model, tokens)``: an interval [J], or None and the reason
"""
