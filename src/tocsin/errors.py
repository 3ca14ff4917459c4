"""Every error that Tocsin raises, in one tree.

::

    TocsinError
    ├── InputError (ValueError)          the data cannot be used
    │   ├── UnreadableFile               a file that cannot be read as what it claims to be
    │   └── SchemaMismatch               columns or shapes differ from those of training
    ├── ParameterError (ValueError)      a setting that cannot work
    ├── UnknownName (LookupError)        no detector, metric … of that name
    ├── UnusablePart (ImportError)       another package registers what cannot be imported
    ├── NotFitted                        scored before it was trained
    ├── TrainingFailed (RuntimeError)    training did not reach a usable model
    ├── MissingExtra (ImportError)       an optional package is not installed
    ├── ConfigError (ValueError)         tocsin.yaml has a setting that cannot be
    ├── StoreError                       the store of events and alarms
    │   ├── StoreUnavailable             locked, full or away: try again
    │   └── NotInStore (LookupError)     no alarm, silence or monitor of that name
    ├── NotAllowed                          an operation that its rules do not allow now
    └── ModelFolderError                 a saved model that cannot be used
        ├── NotAModel                    the folder holds no manifest
        ├── CorruptModel                 a file is missing or changed, or holds what cannot be
        ├── NewerFormat                  written by a later version of Tocsin
        ├── WrongSignature               not signed by the key that was stated
        └── NotSavable                   this model has no safe file format

Each message states what was given, what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class TocsinError(Exception):
    """Base of every error that Tocsin raises on purpose."""


class InputError(TocsinError, ValueError):
    """The data given cannot be used."""


class UnreadableFile(InputError):
    """A file cannot be read as the format its name or content claims."""


class SchemaMismatch(InputError):
    """Rows do not have the columns or the shape that the model was trained on."""


class ParameterError(TocsinError, ValueError):
    """A setting is outside what can work."""


class UnknownName(TocsinError, LookupError):
    """A name that no registered part answers to."""


class UnusablePart(TocsinError, ImportError):
    """What another package registers cannot be imported."""


class NotFitted(TocsinError):
    """A model was asked for scores before it was trained."""


class TrainingFailed(TocsinError, RuntimeError):
    """Training ended without a usable model, for instance with a loss that is not finite."""


class ConfigError(TocsinError, ValueError):
    """A configuration cannot be used; the message names the file and the line.

    ``mistakes``: what is wrong, one per line below the message.
    """

    def __init__(self, message: str, mistakes: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *mistakes]))
        self.message, self.mistakes = message, mistakes


class StoreError(TocsinError):
    """The store of events and alarms cannot do what was asked."""


class StoreUnavailable(StoreError):
    """The store is locked, full or away; nothing was changed, and it may be tried again."""


class NotInStore(StoreError, LookupError):
    """The store holds nothing of that name."""


class NotAllowed(TocsinError):
    """An operation is against the rules, such as acknowledging a resolved alarm."""


class ModelFolderError(TocsinError):
    """A saved model cannot be used."""


class NotAModel(ModelFolderError):
    """The path holds no saved model."""


class CorruptModel(ModelFolderError):
    """A file of a saved model is missing or changed, or holds what cannot be."""


class NewerFormat(ModelFolderError):
    """A saved model was written by a later version of Tocsin."""


class WrongSignature(ModelFolderError):
    """A saved model is not signed, or not by the key that was stated."""


class NotSavable(ModelFolderError):
    """A model has no format that loads without running code."""


class MissingExtra(TocsinError, ImportError):
    """An optional package is needed.

    >>> str(MissingExtra("pyod", extra="bench"))
    'The package "pyod" is not installed. Install it with: pip install "tocsin[bench]"'

    Without an extra the package is installed alone, as what it asks for is not needed.
    """

    def __init__(self, package: str, *, extra: str | None) -> None:
        what = f'"tocsin[{extra}]"' if extra else f"--no-deps {package}"
        super().__init__(
            f'The package "{package}" is not installed. Install it with: pip install {what}'
        )
