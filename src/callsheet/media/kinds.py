"""What a file is, told from its first bytes; names only say what somebody expects it to be."""

from enum import StrEnum
from typing import Final

HEAD_BYTES: Final = 4096
"""How much of a file's beginning `sniff` wants."""


class Kind(StrEnum):
    """What an item is."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"


class Family(StrEnum):
    """Which reader a file belongs to, and how its wholeness is told."""

    JPEG = "JPEG"
    PNG = "PNG"
    GIF = "GIF"
    WEBP = "WEBP"
    BMP = "BMP"
    TIFF = "TIFF"
    HEIF = "HEIF"
    AVIF = "AVIF"
    PDF = "PDF"
    ISO = "mov"
    MATROSKA = "matroska"
    AVI = "avi"
    WAV = "wav"
    OGG = "ogg"
    FLAC = "flac"
    MP3 = "mp3"
    AAC = "aac"
    MPEGTS = "mpegts"
    MPEGPS = "mpeg"
    FLV = "flv"
    ASF = "asf"


PICTURES: Final = frozenset(
    {
        Family.JPEG,
        Family.PNG,
        Family.GIF,
        Family.WEBP,
        Family.BMP,
        Family.TIFF,
        Family.HEIF,
        Family.AVIF,
    }
)
"""Read by Pillow."""

FORMAT_WHITELIST: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpegts,mpeg,mp3,wav,w64,aac,ogg,flac,flv,asf"
)
"""The containers that FFmpeg may open: none that names other files."""

VIDEO_CODECS: Final = frozenset(
    {
        "h264", "hevc", "av1", "vp8", "vp9", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2", "msmpeg4v3",
        "mjpeg", "prores", "dnxhd", "theora", "wmv1", "wmv2", "wmv3", "vc1", "h263", "flv1", "vp6", "vp6f",
        "dvvideo", "rawvideo", "png", "ffv1", "huffyuv", "cinepak", "svq1", "svq3", "qtrle", "vvc",
    }
)  # fmt: skip
"""Codecs of moving pictures that are decoded; others are reported as unsupported."""

AUDIO_CODECS: Final = frozenset(
    {
        "aac", "aac_latm", "mp3", "mp2", "mp1", "ac3", "eac3", "dts", "truehd", "opus", "vorbis", "flac",
        "alac", "wmav1", "wmav2", "wmapro", "amr_nb", "amr_wb", "speex", "wavpack", "gsm_ms", "qdm2",
        "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_u8", "pcm_s8",
        "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw", "pcm_bluray", "pcm_dvd",
        "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_swf", "mace3", "mace6", "nellymoser",
    }
)  # fmt: skip
"""Codecs of sound that are decoded."""

DECODER_WHITELIST: Final = ",".join(
    sorted(
        VIDEO_CODECS
        | AUDIO_CODECS
        | {
            "libdav1d", "libaom-av1", "libvpx", "libvpx-vp9", "msmpeg4", "mp3float", "mp2float", "mp1float",
            "dca", "amrnb", "amrwb", "libopus", "libvorbis", "libspeex",
        }
    )
)  # fmt: skip
"""The same codecs as FFmpeg names its decoders, for its ``-codec_whitelist``."""

SUFFIXES: Final = {
    Kind.IMAGE: ("jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "webp", "bmp", "dib", "tif", "tiff",
                 "heic", "heif", "avif"),
    Kind.VIDEO: ("mp4", "m4v", "mov", "qt", "3gp", "3g2", "mkv", "webm", "avi", "ts", "m2ts", "mts",
                 "mpg", "mpeg", "vob", "flv", "wmv", "asf", "ogv"),
    Kind.AUDIO: ("mp3", "m4a", "m4b", "aac", "wav", "w64", "ogg", "oga", "opus", "flac", "wma", "mka"),
    Kind.DOCUMENT: ("pdf",),
}  # fmt: skip
"""Name endings, without the dot, that promise media: a file with another content is listed as broken."""
_PROMISES: Final = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}

_ISO_FIRST: Final = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"}
)
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_ASF_GUID: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_PREFIXES: Final = (
    (b"\xff\xd8\xff", Family.JPEG),
    (b"\x89PNG\r\n\x1a\n", Family.PNG),
    (b"GIF87a", Family.GIF),
    (b"GIF89a", Family.GIF),
    (b"II*\0", Family.TIFF),
    (b"MM\0*", Family.TIFF),
    (b"\x1a\x45\xdf\xa3", Family.MATROSKA),
    (b"OggS", Family.OGG),
    (b"fLaC", Family.FLAC),
    (b"ID3", Family.MP3),
    (b"FLV\x01", Family.FLV),
    (b"\x00\x00\x01\xba", Family.MPEGPS),
    (_ASF_GUID, Family.ASF),
)
_RIFF: Final = {b"WEBP": Family.WEBP, b"AVI ": Family.AVI, b"WAVE": Family.WAV}
_PDF_WITHIN: Final = 1024
_ADTS_HEADER: Final = 7
_MPEG_1: Final = 3


def promised_kind(path: str) -> Kind | None:
    """Return what the end of a file's name says it is; None where it promises no media."""
    stem, _, suffix = path.rpartition("/")[2].rpartition(".")
    return _PROMISES.get(suffix.lower()) if stem else None


def sniff(head: bytes) -> Family | None:
    """Return what a file that begins with *head* is, or None where no signature fits.

    Args:
        head: The first `HEAD_BYTES` of the file, or all of a shorter one.
    """
    for prefix, family in _PREFIXES:
        if head.startswith(prefix):
            return family
    if head[:4] in {b"RIFF", b"RF64"}:
        return _RIFF.get(head[8:12])
    if head[4:8] in _ISO_FIRST:
        return _iso_family(head)
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return Family.BMP
    if b"%PDF-" in head[:_PDF_WITHIN]:
        return Family.PDF
    return _by_rhythm(head)


def container_name(family: Family, head: bytes) -> str:
    """Return the name of a format as people call it, such as "mp4" where the family is that of QuickTime."""
    if family is Family.ISO and head[4:8] == b"ftyp":
        brand = head[8:12]
        return "mov" if brand == b"qt  " else "3gp" if brand[:2] == b"3g" else "mp4"
    if family is Family.MATROSKA:
        return "webm" if b"\x42\x82\x84webm" in head[:256] else "matroska"
    return family.value


def transport_packet(head: bytes) -> int:
    """Return how many bytes each packet of a transport stream has that begins with *head*; 0 if it is none.

    188 by ISO/IEC 13818-1, 2.4.3.2; 192 where a time code stands before each, as on discs and in cameras.
    """
    for first, packet in ((0, 188), (4, 192)):
        marks = head[first : first + packet * 5 : packet]
        if len(marks) >= 3 and set(marks) == {0x47}:  # noqa: PLR2004 -- fewer could be chance
            return packet
    return 0


def _iso_family(head: bytes) -> Family:
    if head[4:8] != b"ftyp":
        return Family.ISO
    end = min(int.from_bytes(head[:4], "big"), len(head), 512)
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if head[8:12] in _AVIF_BRANDS or (head[8:12] == b"mif1" and brands & _AVIF_BRANDS):
        return Family.AVIF
    return Family.HEIF if head[8:12] in _HEIF_BRANDS else Family.ISO


def _by_rhythm(head: bytes) -> Family | None:
    """Tell formats without a signature by the distance at which their marks come again."""
    if transport_packet(head):
        return Family.MPEGTS
    if _adts_frames(head):
        return Family.AAC
    return Family.MP3 if _mpeg_audio_frames(head) else None


def _adts_frames(head: bytes) -> bool:
    """Say whether two AAC frames follow one another (ISO/IEC 14496-3, 1.A.2.2)."""
    if len(head) < _ADTS_HEADER or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:  # noqa: PLR2004 -- the sync word
        return False
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size >= _ADTS_HEADER and head[size : size + 2] == head[:2]


_BITRATES_KBPS: Final = {
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mpeg_audio_frames(head: bytes) -> bool:
    """Say whether two MPEG audio frames follow one another (ISO/IEC 11172-3, 2.4.1.3)."""
    size = _mpeg_audio_frame_size(head)
    return size > 0 and _mpeg_audio_frame_size(head[size : size + 4]) > 0


def _mpeg_audio_frame_size(head: bytes) -> int:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:  # noqa: PLR2004 -- the sync word
        return 0
    version, layer, rate, frequency = (head[1] >> 3) & 3, (head[1] >> 1) & 3, head[2] >> 4, (head[2] >> 2) & 3
    if version == 1 or layer == 0 or rate in {0, 15} or frequency == 3:  # noqa: PLR2004 -- reserved values
        return 0
    bits_per_s = _BITRATES_KBPS[version if version == _MPEG_1 else 2, layer][rate - 1] * 1000
    samples = {3: 384, 2: 1152, 1: 1152 if version == _MPEG_1 else 576}[layer]
    padding = ((head[2] >> 1) & 1) * (4 if layer == 3 else 1)  # noqa: PLR2004 -- layer I counts in words
    return samples // 8 * bits_per_s // _SAMPLE_RATES[version][frequency] + padding
