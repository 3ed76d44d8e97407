"""The compiled C code computes what its emulation does, whatever the network."""

import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from c_code import (
    COMPILERS,
    STRICT,
    call,
    call_predict,
    coded_as,
    compile_c,
    needs_compiler,
    random_rows,
    random_specification,
    wild_rows,
    with_raw,
)
from numpy.testing import assert_allclose, assert_array_equal

from skobd._export.c import emulate
from skobd._export.c.floats import float_network
from skobd._export.c.forms import FORMS
from skobd._export.c.integers import MOST_OF_A_SUM, integer_network, largest_sum
from skobd._export.c.size import code_bytes, constant_bytes
from skobd._export.c.specification import ACTIVATIONS, KINDS, Affine, Layer, Specification
from skobd._export.c.write import clear_rows, write
from skobd._net.activations import ACTIVATIONS as NET_ACTIVATIONS
from skobd._net.losses import LOSSES

pytestmark = pytest.mark.slow

N_NETWORKS, N_STRICT = 60, 25
SPECIAL = {
    "many_classes": {"n_columns": 30, "n_outputs": 1000, "depth": 1, "kind": "multiclass"},
    "wide": {"n_columns": 3000, "depth": 1},
    "one_layer_wide": {"n_columns": 2000, "depth": 0, "kind": "multiclass"},
    "no_inputs_left": {"n_columns": 1, "depth": 3},
}


def in_units(coded, X):
    """Raw outputs of the emulation as numbers."""
    return emulate.in_units(coded, emulate.raw_outputs(coded, X))


@cache
def networks(arithmetic, dtype="int8"):
    """Specifications coded, by name."""
    cases = {f"n{seed}": {} for seed in range(N_NETWORKS)} | SPECIAL
    found = {
        name: random_specification(seed, **settings)
        for seed, (name, settings) in enumerate(cases.items())
    }
    # Few weights of each unit, with many inputs between them.
    apart = np.zeros((230, 115))
    apart[np.arange(230), np.arange(230) % 115] = np.linspace(-1, 2, 230)
    inputs = tuple(Affine(column) for column in range(230))
    names, layers = ("",) * 230, (Layer(apart, np.ones(115)),)
    found["far_apart"] = Specification("", names, inputs, layers, "relu", "multilabel", ("",) * 115)
    # Of its weights 8 bits leave nothing.
    strong = random_specification(len(found), depth=2)
    faint = [replace(layer, weights=1e-60 * layer.weights) for layer in strong.layers]
    found["faint"] = replace(strong, layers=tuple(faint))
    return {
        name: coded_as(specification, arithmetic, dtype, seed)
        for seed, (name, specification) in enumerate(found.items())
    }


def both_rows(coded, seed):
    n_columns = len(coded.specification.column_names)
    return random_rows(seed, n_columns), wild_rows(seed, n_columns)


@pytest.fixture(scope="module")
def integers():
    return networks("int")


@pytest.fixture(scope="module")
def library(integers, tmp_path_factory):
    text = "".join(with_raw(coded, name) for name, coded in integers.items())
    return compile_c(text, tmp_path_factory.mktemp("int"))


@needs_compiler
class TestIntegers:
    def test_every_bit_is_that_of_the_emulation(self, integers, library):
        for seed, (name, coded) in enumerate(integers.items()):
            n_outputs = coded.specification.sizes[-1]
            for X in both_rows(coded, seed):
                found = call(getattr(library, f"{name}_raw"), X, n_outputs, np.int16)
                assert_array_equal(found, emulate.raw_outputs(coded, X), err_msg=name)

    def test_predictions(self, integers, library):
        for seed, (name, coded) in enumerate(integers.items()):
            n_outputs, is_classifier = (
                coded.specification.sizes[-1],
                coded.specification.is_classifier,
            )
            for X in both_rows(coded, seed):
                found = call_predict(library, name, X, n_outputs, is_classifier)
                assert_allclose(found, emulate.predict(coded, X), rtol=1e-5, err_msg=name)

    def test_probabilities(self, integers, library):
        for seed, (name, coded) in enumerate(integers.items()):
            if coded.specification.has_probabilities:
                X = random_rows(seed, len(coded.specification.column_names))
                n = len(coded.specification.output_names)
                found = call(getattr(library, f"{name}_predict_proba"), X, n, np.float32)
                expected = emulate.predict_proba(coded, X)
                assert_allclose(found, expected, rtol=1e-4, atol=1e-6, err_msg=name)

    def test_every_index_form_occurs(self, integers):
        forms = {form for coded in integers.values() for form in coded.stored.forms}
        assert forms == set(FORMS)

    def test_no_sum_overflows(self, integers):
        for name, coded in integers.items():
            assert largest_sum(coded) <= MOST_OF_A_SUM, name

    def test_activations_are_shortened_where_a_sum_might_overflow(self, tmp_path):
        n = 2000
        layers = (Layer(np.ones((n, 2)), np.array([0.0, -3.0])),)
        names = tuple(f"x{k}" for k in range(n))
        inputs = tuple(Affine(k) for k in range(n))
        specification = Specification("all", names, inputs, layers, "relu", "identity", ("a", "b"))
        coded = coded_as(specification, "int")
        assert coded.settings["limit"] * n * 127 < 2**31 < 1.1 * coded.settings["limit"] * n * 127
        library = compile_c(with_raw(coded, "all"), tmp_path)
        X = np.array([1e9, -1e9, 0.5], dtype=np.float32)[:, np.newaxis] * np.ones(n, dtype="f4")
        found = call(library.all_raw, X, 2, np.int16)
        assert_array_equal(found, emulate.raw_outputs(coded, X))

    def test_close_to_the_network(self, integers):
        """Rounding errors of 8-bit weights stay small beside the outputs."""
        for seed, (name, coded) in enumerate(integers.items()):
            # Whole numbers: an indicator rounds in integers.
            X = np.rint(random_rows(seed, len(coded.specification.column_names)))
            expected = coded.specification.activations(X)[-1]
            gap = in_units(coded, X) - expected
            assert np.sqrt((gap**2).mean()) < 0.1 * expected.std() + 1e-2, name


def linear(weight, activation="tanh"):
    """A network of one input, one hidden unit and one output."""
    layers = tuple(Layer(np.full((1, 1), w), np.zeros(1)) for w in (weight, 1.0))
    return Specification("one", ("x",), (Affine(0),), layers, activation, "identity", ("y",))


def test_every_activation_and_link_is_known():
    assert set(ACTIVATIONS) == set(NET_ACTIVATIONS)
    kinds_of_links = {
        "logistic": {"binary", "multilabel"},
        "softmax": {"multiclass"},
        "identity": {"identity"},
        "exp": {"exp"},
    }
    assert {loss.out_activation for loss in LOSSES.values()} == set(kinds_of_links)
    assert set().union(*kinds_of_links.values()) == set(KINDS)
    x = np.linspace(-3, 3, 7)[:, np.newaxis]
    for name, apply in ACTIVATIONS.items():
        expected = x.copy()
        NET_ACTIVATIONS[name].apply(expected)
        assert_allclose(apply(x), expected, rtol=1e-12, err_msg=name)


class TestRanges:
    @pytest.mark.parametrize("weight", [1.0, 40.0, 1000.0])
    def test_tanh_of_large_weights(self, weight):
        """Steps before tanh get coarser, and stay fine beside the weight."""
        X = np.linspace(-2, 2, 101, dtype=np.float32)[:, np.newaxis] / np.float32(weight)
        for activation in ("tanh", "logistic"):
            specification = linear(weight, activation)
            coded = integer_network(specification, np.vstack([X, [[1.0], [-1.0]]]).astype("f4"))
            gap = in_units(coded, X) - specification.activations(X)[-1]
            assert np.abs(gap).max() < (0.01 if weight < 100 else 0.3)

    def test_weights_that_are_too_large(self):
        with pytest.raises(ValueError, match=r"too large for integer arithmetic.*larger alpha"):
            integer_network(linear(1e6), np.array([[-1.0], [1.0]], dtype=np.float32))

    @pytest.mark.parametrize("centre", [0.0, 5.0, 33_333.0, -1e18])
    def test_floats_of_columns_far_from_zero(self, centre):
        """Centres have eight bits, and rounding weights does not show what is left of them."""
        rng = np.random.default_rng(0)
        deviation = max(abs(centre) * 1e-5, 1)
        X = (centre + deviation * rng.normal(size=(50, 20))).astype(np.float32)
        inputs = tuple(Affine(k, 1 / deviation, -centre / deviation) for k in range(20))
        layers = (Layer(rng.normal(size=(20, 3)), rng.normal(size=3)),)
        names = ("",) * 20
        specification = Specification("", names, inputs, layers, "relu", "identity", ("",) * 3)
        gap = in_units(float_network(specification, "int8"), X) - specification.activations(X)[-1]
        assert np.abs(gap).max() < 0.1

    @pytest.mark.parametrize("value", [0.0, -3.0, 1e-30, 1e30])
    def test_columns_that_are_constant(self, value):
        specification = linear(1 / max(abs(value), 1), "relu")
        X = np.full((3, 1), value, dtype=np.float32)
        gap = in_units(integer_network(specification, X), X) - specification.activations(X)[-1]
        assert np.abs(gap).max() < 0.02

    @pytest.mark.parametrize("centre", [0.0, 5.0, 1e6, -1e18])
    @pytest.mark.parametrize("spread", [1e-3, 1.0])
    def test_columns_far_from_zero(self, centre, spread):
        """A column is read as finely as single precision has it."""
        x = centre + spread * np.linspace(-1, 1, 50) * max(abs(centre) * 1e-3, 1)
        deviation = float(x.std())
        read = Affine(0, 1 / deviation, -float(x.mean()) / deviation)
        layers = (Layer(np.ones((1, 1)), np.zeros(1)),)
        specification = Specification("one", ("x",), (read,), layers, "relu", "identity", ("y",))
        X = x[:, np.newaxis].astype(np.float32)
        coded = integer_network(specification, X)
        gap = in_units(coded, X) - specification.activations(X)[-1]
        assert np.abs(gap).max() < 0.01


@needs_compiler
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_floats(dtype, tmp_path):
    """Equal to the emulation up to rounding, and of 32 bits to the network itself."""
    coded = networks("float", dtype)
    text = "".join(with_raw(network, name) for name, network in coded.items())
    library = compile_c(text, tmp_path)
    for seed, (name, network) in enumerate(coded.items()):
        specification = network.specification
        X, n_outputs = random_rows(seed, len(specification.column_names)), specification.sizes[-1]
        found = call(getattr(library, f"{name}_raw"), X, n_outputs, np.float32)
        expected = emulate.raw_outputs(network, X)
        tolerance = 1e-4 * np.abs(expected).max()
        assert_allclose(found, expected, rtol=0, atol=tolerance, err_msg=name)
        if dtype == "float32":
            exact = specification.activations(X)[-1]
            assert_allclose(found, exact, rtol=0, atol=tolerance, err_msg=name)
        if specification.has_probabilities:
            n = len(specification.output_names)
            p = call(getattr(library, f"{name}_predict_proba"), X, n, np.float32)
            assert_allclose(p, emulate.predict_proba(network, X), rtol=0, atol=1e-2, err_msg=name)
        X = wild_rows(seed, X.shape[1])
        found = call(getattr(library, f"{name}_raw"), X, n_outputs, np.float32)
        expected = emulate.raw_outputs(network, X)
        largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
        assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * largest, err_msg=name)


MAIN = """
#include <stdio.h>
int main(void)
{{
    static float x[3000];
    static {type} y[1000];
    int row, k;
{calls}
    return 0;
}}
"""
CALL = """
    for (row = 0; row < {n_rows}; row++) {{
        if (fread(x, sizeof(float), {n}, stdin) != {n})
            return 1;
        {name}_raw(x, y);
        for (k = 0; k < {n_outputs}; k++)
            printf("%d ", (int)y[k]);
    }}
"""


@pytest.mark.skipif("gcc" not in COMPILERS, reason="sanitisers are those of gcc")
@pytest.mark.parametrize("arithmetic", ["int", "float"])
def test_nothing_is_undefined(arithmetic, integers, tmp_path):
    """Under sanitisers, with the wildest rows; outputs in floats are not looked at."""
    coded = integers if arithmetic == "int" else networks("float")
    calls, rows, expected = [], [], []
    for seed, (name, network) in enumerate(coded.items()):
        n, n_outputs = len(network.specification.column_names), network.specification.sizes[-1]
        X = wild_rows(seed, n)
        rows.append(X.tobytes())
        calls.append(CALL.format(name=name, n=n, n_rows=len(X), n_outputs=n_outputs))
        if arithmetic == "int":
            expected.append(emulate.raw_outputs(network, X).ravel())
        else:
            calls[-1] = calls[-1].replace("(int)y[k]", "y[k] > 0")
    kind = "int16_t" if arithmetic == "int" else "float"
    text = "".join(with_raw(network, name) for name, network in coded.items())
    source, program = tmp_path / "code.c", tmp_path / "code"
    source.write_text(text + MAIN.format(type=kind, calls="".join(calls)))
    checks = ["-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    subprocess.run(["gcc", *STRICT, *checks, str(source), "-o", str(program), "-lm"], check=True)
    run = subprocess.run([program], input=b"".join(rows), capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    if arithmetic == "int":
        assert_array_equal(np.array(run.stdout.split(), dtype=int), np.concatenate(expected))


@pytest.mark.parametrize("compiler", ["gcc", "clang", "g++", "clang++"])
def test_strict_compilers_have_nothing_to_say(compiler, integers, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler}")
    kinds = {"i": integers, "f": networks("float"), "g": networks("float", "float32")}
    is_cpp = compiler.endswith("++")
    source = tmp_path / ("code.cpp" if is_cpp else "code.c")
    texts = [
        write(coded, f"{kind}{name}", "0", [], None)
        for kind, found in kinds.items()
        for name, coded in list(found.items())[:N_STRICT]
    ]
    source.write_text("".join(texts))
    options = ["-std=c++11", *STRICT[1:]] if is_cpp else [*STRICT, "-pedantic"]
    command = [compiler, *options, "-O2", "-c", str(source), "-o", str(tmp_path / "code.o")]
    subprocess.run(command, check=True)


@pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("size")), reason="needs gcc and binutils"
)
@pytest.mark.parametrize(
    ("arithmetic", "dtype"), [("int", "int8"), ("float", "int8"), ("float", "float32")]
)
def test_bytes_are_those_of_the_compiler(arithmetic, dtype, tmp_path):
    coded = networks(arithmetic, dtype)
    source, compiled = tmp_path / "code.c", tmp_path / "code.o"
    source.write_text(
        "".join(write(network, name, "0", [], None) for name, network in coded.items())
    )
    # Every constant in a section of its own: no gaps between them are counted. Without
    # optimisation none is replaced by its only value.
    command = ["gcc", "-std=c99", "-O0", "-fdata-sections", "-c", str(source), "-o", str(compiled)]
    subprocess.run(command, check=True)
    listed = subprocess.run(["size", "-A", compiled], check=True, capture_output=True, text=True)
    found = dict.fromkeys(coded, 0)
    for line in listed.stdout.splitlines():
        if line.startswith(".rodata.") and not line.startswith((".rodata.cst", ".rodata.str")):
            section, n_bytes, _ = line.split()
            owner = max((n for n in coded if section.startswith(f".rodata.{n}_")), key=len)
            found[owner] += int(n_bytes)
    assert found == {name: constant_bytes(network) for name, network in coded.items()}


AVR_MAIN = """
volatile float in;
volatile int out;
int main(void)
{{
    static float x[{n}], y[{n_outputs}];
    int k;
    for (k = 0; k < {n}; k++)
        x[k] = in;
    {call};
    out = y[0] > 0;
    return 0;
}}
"""


@pytest.mark.skipif(not shutil.which("avr-gcc"), reason="there is no avr-gcc")
@pytest.mark.parametrize("arithmetic", ["int", "float"])
def test_bytes_of_instructions_are_about_those_of_an_avr(arithmetic, tmp_path):
    """It also compiles there as strictly."""
    errors = []
    for name, coded in list(networks(arithmetic).items())[:20]:
        specification = coded.specification
        call = "y[0] = (float){}_predict(x)" if specification.is_classifier else "{}_predict(x, y)"
        sizes = {"n": len(specification.column_names), "n_outputs": specification.sizes[-1]}
        source, program = tmp_path / "code.c", tmp_path / "code.elf"
        main = AVR_MAIN.format(call=call.format(name), **sizes)
        source.write_text(write(coded, name, "0", [], None) + main)
        options = ["-mmcu=atmega2560", "-Os", "-ffunction-sections", "-Wl,--gc-sections"]
        command = ["avr-gcc", *STRICT, *options, str(source), "-o", str(program), "-lm"]
        subprocess.run(command, check=True)
        listed = subprocess.run(["avr-size", program], check=True, capture_output=True, text=True)
        flash = int(listed.stdout.splitlines()[1].split()[0])
        errors.append((constant_bytes(coded) + code_bytes(coded)) / flash - 1)
    assert np.median(np.abs(errors)) < 0.1


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="there is no arm-none-eabi-gcc")
@pytest.mark.parametrize("arithmetic", ["int", "float"])
def test_cortex_m_compiles_as_strictly(arithmetic, tmp_path):
    source, target = tmp_path / "code.c", str(tmp_path / "code.o")
    for name, coded in list(networks(arithmetic).items())[:20]:
        source.write_text(write(coded, name, "0", [], None))
        for options in (["-mcpu=cortex-m0", "-Os"], ["-mcpu=cortex-m4", "-O2"]):
            command = ["arm-none-eabi-gcc", *STRICT, *options, "-mthumb", "-c", str(source)]
            subprocess.run([*command, "-o", target], check=True)


SELF_TEST_ON_AVR = """
#undef main
int main(void)
{{
    int n_wrong = {name}_self_test();
    UCSR0B = 1 << TXEN0;
    UDR0 = (uint8_t)('0' + (n_wrong > 9 ? 9 : n_wrong));
    UDR0 = '\\n';
    cli();
    sleep_mode(); /* which ends the simulation */
    return 0;
}}
"""


@pytest.mark.skipif(
    not (shutil.which("avr-gcc") and shutil.which("simavr")), reason="there is no simavr"
)
@pytest.mark.parametrize("arithmetic", ["int", "float"])
def test_self_test_passes_in_an_avr(arithmetic, tmp_path):
    """Products are written in assembler there."""
    source, program = tmp_path / "code.c", tmp_path / "code.elf"
    for seed in range(6):
        specification = random_specification(seed, n_columns=17, n_outputs=5, kind="multiclass")
        coded, name = coded_as(specification, arithmetic), f"net{seed}"
        rows = clear_rows(coded, random_rows(seed, 17), 8)
        text = write(coded, name, "0", [], rows)
        heads = "#include <avr/io.h>\n#include <avr/interrupt.h>\n#include <avr/sleep.h>\n"
        text = f"{heads}#define {name}_SELF_TEST\n#define main {name}_self_test\n{text}"
        source.write_text(text + SELF_TEST_ON_AVR.format(name=name))
        command = ["avr-gcc", "-mmcu=atmega2560", "-std=c99", "-Os", str(source), "-lm"]
        subprocess.run([*command, "-o", str(program)], check=True)
        ran = subprocess.run(
            ["simavr", "-m", "atmega2560", "-f", "16000000", str(program)],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert re.search(r"^\W*(?:\[32m)?0\.", ran.stdout + ran.stderr, re.MULTILINE), ran
