import numpy as np
from numpy.typing import NDArray
from scenedetect.common import FrameTimecode

class AdaptiveDetector:
    def __init__(self, adaptive_threshold: float = ..., min_scene_len: int = ...) -> None: ...
    def process_frame(self, timecode: FrameTimecode, frame_img: NDArray[np.uint8]) -> list[FrameTimecode]: ...
