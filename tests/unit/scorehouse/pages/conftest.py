from tests.unit.scorehouse.pages.pages import pages

__all__ = ["pages"]
