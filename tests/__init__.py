"""Tests: `unit` needs no network, `integration` one real server each, `system` drives the product from outside."""
