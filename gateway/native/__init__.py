"""Native modules: shared libraries written for the C API of mesibo's loadable modules.

Each instance runs in a process of its own, as isolated modules do: to the gateway it is one of them. In that
process a `Module` stands for the library (`module`), opens and calls it (`shared_object`), and does what
its helpers are asked for. `build` has the C part of that compiled.
"""
