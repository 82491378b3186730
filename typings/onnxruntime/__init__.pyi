from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

class SessionOptions:
    intra_op_num_threads: int
    inter_op_num_threads: int
    log_severity_level: int
    def add_session_config_entry(self, key: str, value: str) -> None: ...

class RunOptions:
    def add_run_config_entry(self, key: str, value: str) -> None: ...

class NodeArg:
    @property
    def name(self) -> str: ...

class InferenceSession:
    def __init__(
        self,
        path_or_bytes: bytes,
        sess_options: SessionOptions,
        providers: Sequence[str | tuple[str, Mapping[str, str]]],
    ) -> None: ...
    def disable_fallback(self) -> None: ...
    def get_providers(self) -> list[str]: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, NDArray[np.float32] | NDArray[np.int64]],
        run_options: RunOptions,
    ) -> list[NDArray[np.float32]]: ...

def get_available_providers() -> list[str]: ...
def preload_dlls() -> None: ...
