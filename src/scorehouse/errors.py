"""What can go wrong. Each error is one line that says what is wrong and what to do."""


class ScorehouseError(Exception):
    """The base of all our errors. Its text is for the person who reads it."""


class SettingError(ScorehouseError):
    """A setting is missing or invalid; the process should end with status 2."""


class UseCaseError(ScorehouseError):
    """A use case cannot be found, or its module contradicts itself."""


class TableError(ScorehouseError):
    """A raw table cannot be trained on; the text lists the faulty columns and rows."""


class ConfigurationError(ScorehouseError):
    """A config.json is malformed, or asks for something impossible; the text names each key. Nothing is trained."""


class BundleError(ScorehouseError):
    """A bundle is missing, damaged, unsigned, or not for this code. It is refused, and the old model still serves."""


class CacheUnavailable(ScorehouseError):
    """A bundle cannot be kept on this machine's disk: try again later."""


class RegistryUnavailable(ScorehouseError):
    """The model registry cannot be reached: try again later."""


class RunNotFound(ScorehouseError):
    """The registry has no such run, alias or model."""


class AliasMoved(ScorehouseError):
    """Another process moved an alias between reading and writing it. Nothing was changed."""


class JournalError(ScorehouseError):
    """A prediction could not be journalled, so it must not be answered."""


class StoreUnavailable(ScorehouseError):
    """The prediction store cannot be reached. The journal keeps the unsent lines until the store is back."""


class AlreadyRunning(ScorehouseError):
    """Another process already uses what only one process may use."""
