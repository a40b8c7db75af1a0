"""Resolvers whose answers are known."""

from collections.abc import Callable

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


def answering(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda host, port: list(addresses)


def failing(problem: Exception) -> Callable[[str, int], list[str]]:
    def resolver(host: str, port: int) -> list[str]:
        raise problem

    return resolver
