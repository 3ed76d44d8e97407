"""Programs for microcontrollers: compiled by cross compilers, and run in simulators."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "device_c"
# Flash and RAM. The second is tried for what does not fit into the first.
AVR_CHIPS = {"atmega328p": (32_768, 2_048), "atmega2560": (262_144, 8_192)}
CORTEX = ("cortex-m0", "cortex-m3")
# The linker would not say by how much a program is too large.
_NO_LIMITS = [
    "-Wl,--defsym=__TEXT_REGION_LENGTH__=0x800000",
    "-Wl,--defsym=__DATA_REGION_LENGTH__=0xff00",
]
SIMAVR_HEADERS = Path("/usr/include/simavr")
# QEMU takes each instruction for 2^6 ns, and the board's timer ticks at 25 MHz.
_TICKS_PER_INSTRUCTION = 64 * 25e-3


@dataclass(frozen=True)
class Program:
    """C or C++ code that defines ``int entry(const X_TYPE *x)``, and what it should return.

    Attributes
    ----------
    text : str
    rows : ndarray of shape (n_rows, n_inputs)
        Inputs that it is run with, in the type that it takes.
    expected : ndarray of shape (n_rows,), int
        Indices of classes.
    include : str or None
        Folder of headers that it includes.
    is_cpp : bool
    """

    text: str
    rows: np.ndarray
    expected: np.ndarray
    include: str | None = None
    is_cpp: bool = False

    def save(self, folder: str) -> None:
        """Write code and rows."""
        Path(folder, "model.h").write_text(self.text, encoding="utf-8")
        Path(folder, "rows.bin").write_bytes(np.ascontiguousarray(self.rows).tobytes())

    @property
    def options(self) -> list[str]:
        """Options of the compiler, but for those of the chip."""
        kind = {"f4": "float", "f8": "double", "i2": "int16_t"}[self.rows.dtype.str[1:]]
        language = ["-x", "c++", "-std=gnu++11"] if self.is_cpp else ["-x", "c", "-std=gnu99"]
        sections = ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
        options = ["-Os", "-w", *sections, '-DMODEL="model.h"', f"-DX_TYPE={kind}"]
        options += [f"-DN_INPUTS={self.rows.shape[1]}", f"-DN_ROWS={len(self.rows)}"]
        return [*options, *(["-I", self.include] if self.include else []), *language]


@dataclass
class Measured:
    """What a program takes; None where it does not fit, or is not simulated.

    ``cycles`` are cycles on an AVR, and instructions on a Cortex-M. ``n_wrong`` counts rows
    that come out otherwise than expected.
    """

    chip: str
    flash: int | None = None
    static: int | None = None
    stack: int | None = None
    cycles: float | None = None
    n_wrong: int | None = None


def measure(program: Program) -> dict[str, Measured]:
    """Measure a program on every kind of processor that there are tools for."""
    with tempfile.TemporaryDirectory() as folder:
        results = {"avr": _on_avr(program, folder)} if shutil.which("avr-gcc") else {}
        if shutil.which("arm-none-eabi-gcc"):
            results |= {cpu: _on_cortex(program, folder, cpu) for cpu in CORTEX}
    return results


def missing_tools() -> list[str]:
    """Sentences on what cannot be measured, and why."""
    tools: dict[str, Callable[[], object]] = {
        "gcc-avr and avr-libc: nothing is measured on AVR": lambda: shutil.which("avr-gcc"),
        "libsimavr-dev and gcc: no cycles and stack on AVR": can_simulate_avr,
        "gcc-arm-none-eabi and libnewlib-arm-none-eabi: nothing is measured on Cortex-M":
            lambda: shutil.which("arm-none-eabi-gcc"),
        "qemu-system-arm: no instructions and stack on Cortex-M":
            lambda: shutil.which("qemu-system-arm"),
    }  # fmt: skip
    return [sentence for sentence, is_there in tools.items() if not is_there()]


def can_simulate_avr() -> bool:
    """Whether the simulator can be built."""
    return SIMAVR_HEADERS.exists() and shutil.which("gcc") is not None


def _run(command: list[str], folder: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _sizes(tool: str, elf: str, folder: str) -> tuple[int, int]:
    """Flash and static RAM of a linked program."""
    lines = _run([tool, elf], folder).stdout.splitlines()
    text, data, bss = map(int, lines[1].split()[:3])
    return text + data, data + bss


def _on_avr(program: Program, folder: str) -> Measured:
    """On the smaller chip where it fits, else on the larger, else its flash where it is known."""
    flash = None
    if program.rows.dtype == np.float64:  # a double has 32 bits on AVR
        program = replace(program, rows=np.float32(program.rows))
    program.save(folder)
    for chip, (n_flash, n_ram) in AVR_CHIPS.items():
        source = str(FOLDER / "avr.c")
        command = ["avr-gcc", f"-mmcu={chip}", *program.options, *_NO_LIMITS, "-I.", source]
        linked = _run([*command, "-o", "avr.elf", "-lm"], folder)
        if linked.returncode:
            if not re.search(r"relocation truncated|size of array .* is too large", linked.stderr):
                raise RuntimeError(f"{' '.join(command)}\n{linked.stderr[-2000:]}")
            continue
        flash, static = _sizes("avr-size", "avr.elf", folder)
        if flash > n_flash or static >= n_ram:
            continue
        result = Measured(chip, flash, static)
        if not can_simulate_avr():
            return result
        if _simulate_avr(program, result, folder) and static + result.stack < n_ram:
            return result
    return Measured("none", flash)


def _simulate_avr(program: Program, result: Measured, folder: str) -> bool:
    """Whether it ran, and did not crash for want of memory."""
    simulator = Path(folder, "simulate_avr")
    if not simulator.exists():
        command = ["gcc", "-O2", "-I", str(SIMAVR_HEADERS), str(FOLDER / "simulate_avr.c")]
        built = _run([*command, "-o", str(simulator), "-lsimavr"], folder)
        if built.returncode:
            raise RuntimeError(built.stderr)
    listing = _run(["avr-nm", "--defined-only", "avr.elf"], folder).stdout.splitlines()
    symbols = {name: int(address, 16) & 0xFFFF for address, _, name in map(str.split, listing)}
    x, out, end = (str(symbols[name]) for name in ("x", "result", "_end"))
    n_bytes = str(program.rows[0].nbytes)
    rows = [str(len(program.rows)), "rows.bin"]
    arguments = ["avr.elf", result.chip, x, n_bytes, out, end, *rows]
    ran = _run([str(simulator), *arguments], folder)
    # 4: it crashed; 3: it began again, and asked for more rows than there are.
    if ran.returncode in (3, 4):
        return False
    _read(program, result, ran, 1)
    return True


def _on_cortex(program: Program, folder: str, cpu: str) -> Measured:
    program.save(folder)
    options = [f"-mcpu={cpu}", "-mthumb", "--specs=nano.specs", "--specs=nosys.specs"]
    options += ["-nostartfiles", "-T", str(FOLDER / "arm.ld"), "-I."]
    command = ["arm-none-eabi-gcc", *options, *program.options, str(FOLDER / "arm.c"), "-o"]
    for elf, more in (("arm.elf", []), ("simulated.elf", ["-DSIMULATED"])):
        linked = _run([*command, elf, *more, "-lm"], folder)
        if linked.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{linked.stderr[-2000:]}")
    result = Measured(cpu, *_sizes("arm-none-eabi-size", "arm.elf", folder))
    if shutil.which("qemu-system-arm"):
        loader = "loader,file=rows.bin,addr=0x21000000,force-raw=on"
        command = ["qemu-system-arm", "-M", "mps2-an385", "-display", "none", "-icount", "shift=6"]
        command += ["-serial", "none", "-monitor", "none", "-chardev", "stdio,id=out"]
        command += ["-semihosting-config", "enable=on,target=native,chardev=out"]
        command += ["-kernel", "simulated.elf", "-device", loader]
        _read(program, result, _run(command, folder), 1 / _TICKS_PER_INSTRUCTION)
    return result


def _read(
    program: Program, result: Measured, ran: subprocess.CompletedProcess, scale: float
) -> None:
    """Take what a simulator printed: result and cycles of each row, and the stack."""
    lines = [line for line in ran.stdout.splitlines() if re.match(r"-?\d", line)]
    if ran.returncode or len(lines) != len(program.rows) + 1:
        raise RuntimeError(
            f"{result.chip}: {ran.returncode}\n{ran.stdout[-500:]}{ran.stderr[-500:]}"
        )
    values = np.array([line.split() for line in lines[:-1]], np.int64)
    result.n_wrong = int((values[:, 0] != program.expected).sum())
    result.cycles = float(values[:, 1].mean() * scale)
    result.stack = int(lines[-1])
