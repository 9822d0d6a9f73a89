"""The errors users meet. Each names the layer, field, file or byte at fault and says what to do about it."""


class VsqError(Exception):
    """Base of every error raised on purpose by tvm_vsq."""


class ConfigError(VsqError):
    """A hardware, technology or quantization configuration that cannot be, or a name that is not known."""


class ModelError(VsqError):
    """A model that cannot be imported: type, dtype, shape or weights."""


class CalibrationError(VsqError):
    """Calibration data that are missing, empty, not finite, or do not match the model's inputs."""


class QuantizationError(VsqError):
    """A layer whose numbers do not fit the integer formats of the accelerator."""


class ScheduleError(VsqError):
    """A layer for which no tile fits the scratchpads or the instruction fields, or a bad schedule
    database."""


class ProgramError(VsqError):
    """An instruction, instruction stream or saved artifact that the accelerator refuses."""


class InputError(VsqError):
    """An argument of an inference: wrong count, shape, dtype or content."""


def not_finite(name: str) -> InputError:
    """What is said wherever an inference gets NaN or infinity as the input `name`."""
    return InputError(f"input '{name}' contains NaN or infinity; integers cannot represent them")


class VsqWarning(UserWarning):
    """Something that was asked for, or that a model says, and is not done so; the message says what is."""
