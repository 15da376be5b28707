"""What can go wrong, as one clear line that says what to do next; whoever catches it decides once, high up."""


class ScorehouseError(Exception):
    """The base of all: its text is written for the person who will read it."""


class SettingError(ScorehouseError):
    """A setting is missing or wrong; the process should end with status 2."""


class UseCaseError(ScorehouseError):
    """A use case cannot be found, or its page contradicts itself."""


class TableError(ScorehouseError):
    """A raw table cannot be trained on; the text lists the columns and rows at fault."""


class ConfigurationError(ScorehouseError):
    """A config.json is malformed or asks for what cannot be; the text names each key. Nothing is trained by it."""


class BundleError(ScorehouseError):
    """A bundle is missing, damaged, or not for this code: refused for good, the old model serves on."""


class CacheUnavailable(ScorehouseError):
    """A bundle cannot be written to this machine's disk: worth trying again later."""


class RegistryUnavailable(ScorehouseError):
    """The model registry did not answer: worth asking again later."""


class RunNotFound(ScorehouseError):
    """The registry answered: it knows no such run, alias or model."""


class JournalError(ScorehouseError):
    """A prediction could not be written down, so it must not be answered."""


class StoreUnavailable(ScorehouseError):
    """The prediction store did not answer: the journal keeps what it should have taken."""


class AlreadyRunning(ScorehouseError):
    """Another process holds what only one may hold."""
