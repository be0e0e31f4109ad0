"""A liberty of few cells, whose areas tell what was mapped."""

from __future__ import annotations

AREAS = {"INVX1": 1.0, "BUFX1": 1.5, "NAND2X1": 2.0, "NOR2X1": 2.5, "DFFX1": 10.0}
LATCH = "LATX1"
"""A latch that is in the library if it is asked for."""


def table(value):
    return f'(scalar) {{ values("{value}"); }}'


def arc(related, sense):
    return (
        f'timing() {{ related_pin : "{related}"; timing_sense : {sense}; '
        f"cell_rise {table(1)} cell_fall {table(1)} "
        f"rise_transition {table(0)} fall_transition {table(0)} }}"
    )


def gate(name, inputs, function, sense, area):
    pins = " ".join(f"pin({pin}) {{ direction : input; capacitance : 0.01; }}" for pin in inputs)
    arcs = " ".join(arc(pin, sense) for pin in inputs)
    return (
        f"cell({name}) {{ area : {area}; {pins} "
        f'pin(Y) {{ direction : output; function : "{function}"; {arcs} }} }}\n'
    )


def register(name, kind, area):
    """Return a register with data D, clock CLK and output Q; no pin loads or takes anything."""
    return (
        f"cell({name}) {{ area : {area}; {kind} "
        "pin(D) { direction : input; } pin(CLK) { direction : input; clock : true; } "
        'pin(Q) { direction : output; function : "IQ"; } }\n'
    )


def write_liberty(path, areas=AREAS, *, latch=False):
    """Write a flip-flop, a few gates of 1 ns each, and perhaps a latch; return where."""
    path.write_text(
        "library(few) {\n"
        '  delay_model : table_lookup; time_unit : "1ns"; voltage_unit : "1V";\n'
        '  current_unit : "1uA"; capacitive_load_unit(1, pf); nom_voltage : 1;\n'
        + gate("INVX1", "A", "!A", "negative_unate", areas["INVX1"])
        + gate("BUFX1", "A", "A", "positive_unate", areas["BUFX1"])
        + gate("NAND2X1", "AB", "!(A&B)", "negative_unate", areas["NAND2X1"])
        + gate("NOR2X1", "AB", "!(A|B)", "negative_unate", areas["NOR2X1"])
        + register("DFFX1", 'ff(IQ, IQN) { clocked_on : "CLK"; next_state : "D"; }', areas["DFFX1"])
        + (register(LATCH, 'latch(IQ, IQN) { enable : "CLK"; data_in : "D"; }', 0) if latch else "")
        + "}\n"
    )
    return path
