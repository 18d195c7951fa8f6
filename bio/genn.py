"""What of a network GeNN cannot run: asked without running it."""

from collections.abc import Mapping
from typing import Any

from brian2 import Network

from mirrorneuron._arguments import checked
from mirrorneuron._callers import callers_names
from mirrorneuron.errors import DomainError, Outside, UnknownName

ROUTES = ("genn", "brian2genn")


@checked
def genn_findings(
    network: Any,
    route: str = "genn",
    *,
    namespace: Mapping[str, Any] | None = None,
) -> tuple[Outside, ...]:
    """Everything in a network that cannot run on GeNN as Brian2 runs it.

    `simulate` asks the same before each build on "genn", "stepper" and "brian2genn", and raises
    `OutsideGeNN` with the whole list.

    Arguments:
        network: A Brian2 network, made on the runtime device, or a function that makes one. It
            stays as it is.
        route: "genn" for our own translation to GeNN 5; "brian2genn" for Brian2GeNN with GeNN 4,
            which accepts less.
        namespace: Names for equations whose group has no namespace; by default those where
            `genn_findings` is called.

    Returns:
        Object, line, route, why, and what to write instead, of each; empty if all is well.

    Raises:
        UnknownName: There is no such route.
        DomainError: This is no network.

    Example:
        >>> from brian2 import Network, NeuronGroup
        >>> import mirrorneuron as mn
        >>> cells = NeuronGroup(2, "dv/dt = -v/second : 1\\nlevel : 1 (shared)", method="exact")
        >>> _ = cells.run_regularly("level += 1")
        >>> [finding.line for finding in mn.genn_findings(Network(cells))]
        ['neurongroup_run_regularly: level += 1']
    """
    from .simulation._genn import checked

    asked = f"genn_findings(..., route={route!r})"
    if route not in ROUTES:
        raise UnknownName.among(asked, route, ROUTES)
    made = network() if callable(network) else network
    if not isinstance(made, Network):
        raise DomainError(
            f"{asked}: {made!r:.60} is no network. What runs on GeNN is a Brian2 Network. Write"
            " genn_findings(Network(cells, synapses)), or give the function that returns it."
        )
    return checked(made, callers_names() if namespace is None else namespace, route)[1]
