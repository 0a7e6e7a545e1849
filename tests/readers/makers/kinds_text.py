"""Kinds of text files as strangers bring them: each is written here, with what a reader must say of it."""

import gzip
import io
import lzma
import zipfile
from datetime import datetime, timedelta

import numpy as np
import openpyxl
from kinds import FS, Kind, T, X, Y, Z, asks, reads, refuses

BEGIN = datetime(2024, 3, 14, 10)


def rows(form: str, *columns: object) -> str:
    return "".join(form.format(*cells) + "\n" for cells in zip(*columns, strict=True))


def stamps(form: str, begin: datetime = BEGIN, cut: int | None = None) -> list[str]:
    return [(begin + timedelta(seconds=float(t))).strftime(form)[:cut] for t in T]


def header(line: str, body: str | None = None) -> str:
    return f"Device: ACME VIB-3\n{line}\nUnit: g\nAcc1;Acc2\n" + (body or rows("{:.4f};{:.4f}", X, Y))


def gx(name: str = "Acc (g)", unit: str = "g") -> dict[str, tuple[str | None, float]]:
    return {name: (unit, 50)}


def timed(head: str, times: object, form: str = "{}") -> str:
    return head + rows(form + ",{:.4f}", times, X)


BOTH = {"Acc1": ("g", 50), "Acc2": ("g", 80)}
STATEMENTS = {
    "Sampling Rate: 25,600 Hz": 25600, "Sample Rate: 51 200 Hz": 51200, "Sample rate: 10 kS/s": 10000,
    "Sampling rate: 25.6 kSPS": 25600, "Sampling Rate [kSa/s]: 25.6": 25600, "Sample Interval: 39.0625 us": 25600,
    "Sample interval (ms): 0.1": 10000, "Sampling period: 0.1 ms": 10000, "dt [ms]: 0.1": 10000,
    "Sample Rate (Hz),25600": 25600, "Abtastrate: 25.600 Hz": 25600, '"Sampling Frequency","25,600"': 25600,
    "Sampling rate in kHz = 25.6": 25600, "SampleRate=25600": 25600, "Samples per second: 25600": 25600,
    "Rate: 25600 Hz": 25600, "Abtastfrequenz: 25600 Hz": 25600, "Fréquence d'échantillonnage : 25600 Hz": 25600,
    "Sample Rate: 25.6k": 25600, "Sample Rate: 2.56e4": 25600, "Sample Rate (samples/min): 60000": 1000,
    "Max Sampling Frequency: 51200 Hz\nSampling Frequency: 1000 Hz": 1000, "Taxa de amostragem: 12800 Hz": 12800,
    "# data_rate = 1000.0 Hz": 1000, "Sampling rate: 25'600 Hz": 25600, "Delta T:\t0.001": 1000,
}  # fmt: skip
NO_STATEMENTS = [
    "Sensor FS: 16 g", "# ACCEL_FS 16", "Serial fs-2231", "Sampling frequency = 2.56 x span",
    "Max Sampling Frequency: 51200 Hz", "Baud Rate: 9600",
]  # fmt: skip
CLOCKS = {
    "Czas [s]": "utf-8", "时间(s)": "gbk", "時間(s)": "shift_jis", "Время (с)": "cp1251", "Tid [s]": "utf-8",
    "Idő [s]": "utf-8", "Zaman (s)": "utf-8", "Messzeit [s]": "utf-8", "Abs. Time [s]": "utf-8", "X [s]": "utf-8",
    "时间（s）": "utf-8", "Ch1 Time [s]": "utf-8", "Sample Time (s)": "utf-8", "Zeit / s": "utf-8",
}  # fmt: skip
DATES = {
    "%m/%d/%Y %I:%M:%S.%f PM": ("AM and PM", None), "%d-%b-%y %H:%M:%S.%f": ("names of months", None),
    "%d.%m.%Y %H:%M:%S,%f": ("points and comma", None), "%H:%M:%S:%f": ("ms behind a colon", 12),
    "%M:%S.%f": ("minutes of a spreadsheet", 9), "%Y%m%dT%H%M%S.%f": ("compact ISO", None),
    "%Y-%m-%dT%H.%M.%S.%f": ("points in the time", None),
}  # fmt: skip
KEEP10, KEEP3 = np.arange(len(T)) % 10 != 9, np.arange(len(T)) % 3 != 2
DROPS = np.sort(np.random.default_rng(3).choice(len(T), round(0.9 * len(T)), replace=False))


def long_table(form: str, *series: tuple[object, np.ndarray]) -> str:
    return "".join(form.format(t, name, v[i]) + "\n" for i, t in enumerate(T) for name, v in series)


def workbook() -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["a cover sheet"])
    sheet = book.create_sheet("data")
    sheet.append(["Time (s)", "Acc (g)"])
    for t, x in zip(T.tolist(), X.tolist(), strict=True):
        sheet.append([round(t, 4), round(x, 4)])
    book.save(out)
    return out.getvalue()


def zipped(text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/rec.csv", text)
    return out.getvalue()


PLAIN = timed("Time (s),Acc (g)\n", T, "{:.4f}")
SENSORS = (("1", X), ("2", Y))
PULSE = (
    "Header Size:\t12\nVersion:\t7.0\nSignal:\tAcc 1\nDomain:\tTime\nDelta T:\t0.001\nX-axis unit:\ts\n"
    "Y-axis unit:\tm/s²\nAmplitude scaling:\tPeak\n"
)
DEWESOFT = (
    "File name: T.dxd\nSample rate: 1000 Hz\nEvents:\nEvent Type\tEvent\tTime\tComment\n1\tstoring started at\t0.0\n"
    "2\tstoring stopped at\t4.0\nData1\nTime (s)\tAI 1 (g)\tTemp (°C)\n"
)
LABCHART = (
    "Interval=\t0.001 s\nExcelDateTime=\t4.5E4\t3/14/2024 10:00:00.000\nTimeFormat=\tStartOfBlock\nDateFormat=\t\n"
    "ChannelTitle=\tAcc A\tAcc B\nRange=\t10.000 V\t5 V\n"
)
YOKOGAWA = (
    '"Model Name","DL9140"\n"Block Number",1\n"Trace Name","CH1","CH2"\n"Block Size",2000,2000\n"VUnit","V","V"\n'
    '"SampleRate",1.0000E+03,1.0000E+03\n"HResolution",1.0E-03,1.0E-03\n"HUnit","s","s"\n"Date","2024/03/14"\n\n'
)
FAG = "idx;12\nScale factor;0.01\nSample rate;1000\nTimesignal count / FFT count;4000;4000\n"
GCDC = ";Title, http://www.gcdataconcepts.com, X16-1D\n;SampleRate, 1000,Hz\n;Deadband, 0, counts\n;Headers, time,Ax,Ay,Az\n"
INFLUX = (
    "#group,false,false,true,false,false,true\n#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,double,string\n"
    "#default,_result,,,,,\n,result,table,_start,_time,_value,_field\n"
)
ISO = stamps("%Y-%m-%dT%H:%M:%S.%fZ")


def influx(table: int, values: np.ndarray, name: str) -> str:
    return rows(",,{},2024-03-14T10:00:00Z,{},{:.6f},{}", [table] * len(T), ISO, values, [name] * len(T))


FREQ, SPECTRUM = np.arange(len(T)) * 0.125, np.abs(np.random.default_rng(0).normal(size=len(T))) * 0.01

TEXT: list[Kind] = [
    *(Kind(f"header: {line}", header(line), reads(hz, BOTH)) for line, hz in STATEMENTS.items()),
    *(Kind(f"no statement: {line}", header(line), asks("does not state its sampling rate")) for line in NO_STATEMENTS),
    Kind("header beyond 200 kHz", header("Sampling rate: 1 MHz"), asks("1e[+]06 Hz, outside 10 Hz to 200 kHz")),
    Kind("header with two meanings", header("Sampling rate: 25.600 Hz"), asks("25.6 Hz or 25600 Hz")),
    *(
        Kind(f"clock {name}", f"{name};a [g]\n" + rows("{:.4f};{:.4f}", T, X), reads(FS, gx("a [g]")), encoding=code)
        for name, code in CLOCKS.items()
    ),
    *(
        Kind(f"stamps with {what}", "Time;Acc (g)\n" + rows("{};{:.4f}", stamps(form, cut=cut), X), reads(FS, gx()))
        for form, (what, cut) in DATES.items()
    ),
    Kind("over midnight, no date",
         timed("Time,Acc (g)\n", stamps("%H:%M:%S.%f", datetime(2024, 1, 12, 23, 59, 59))), reads(FS, gx())),
    Kind("over midnight, day first",
         timed("Time,Acc (g)\n", stamps("%d/%m/%Y %H:%M:%S.%f", datetime(2024, 1, 12, 23, 59, 59))), reads(FS, gx())),
    Kind("end of summer time", timed("Time,Acc (g)\n", [
        (datetime(2024, 10, 27, 2, 59, 59) + timedelta(seconds=float(t) - (3600 if t >= 1 else 0))).isoformat(" ", "milliseconds")
        for t in T
    ]), reads(FS, gx())),
    Kind("days of a spreadsheet", timed("Time,Acc (g)\n", 45365.4 + T / 86400, "{:.10f}"), reads(FS, gx())),
    Kind("days of MATLAB", timed("t,Acc (g)\n", 739325.4 + T / 86400, "{:.12f}"), reads(FS, gx())),
    Kind("hours in a unit", timed("Time (h),Acc (g)\n", T / 3600, "{:.10f}"), reads(FS, gx())),
    Kind("minutes without a unit", timed("Time,Acc (g)\n", T / 60, "{:.8f}"), asks("60000 Hz if in s, 1000 Hz if in min")),
    Kind("hours without a unit", timed("Time,Acc (g)\n", T / 3600, "{:.10f}"), asks("has no unit")),
    Kind("ticks of 100 ns", timed("Timestamp,Acc (g)\n", 638460000000000000 + np.arange(len(T)) * 10_000), reads(FS, gx())),
    Kind("ms since power-on", timed("millis,Acc (g)\n", np.arange(len(T))), reads(FS, gx())),
    Kind("ms counter of 16 bits", timed("time_ms,Acc (g)\n", (64_000 + np.arange(len(T))) % 65536), reads(FS, gx())),
    Kind("every tenth row lost", timed("time_ms,Acc (g)\n", np.round(T * 1e3).astype(int) + 12000, "{}").splitlines(True),
         asks("10% of the rows are lost at 1000 Hz"), keep=KEEP10),
    Kind("every third row lost", timed("Time (s),Acc (g)\n", T, "{:.3f}").splitlines(True),
         asks("of the rows are lost"), keep=KEEP3),
    Kind("a tenth of the rows lost", "Time (s),Acc (g)\n" + rows("{:.4f},{:.4f}", T[DROPS], X[DROPS]),
         refuses("RateConflict", "rows seem to be lost")),
    Kind("packets that share a stamp", timed("time,Acc (g)\n", np.floor(T * 1000 / 20) * 0.02, "{:.3f}"),
         asks("packets of 20 samples at 1000 Hz, or 20 sensors at 50 Hz")),
    Kind("packets, the rate stated", timed("Sampling rate: 1000 Hz\ntime,Acc (g)\n", np.floor(T * 50) / 50, "{:.3f}"),
         reads(FS, gx())),
    Kind("overlapping exports", "time_s,a_g\n" + rows("{:.4f},{:.4f}", np.r_[T[:1250], T[1200:]], np.r_[X[:1250], X[1200:]]),
         refuses("RateConflict", "runs backwards at row 1250")),
    Kind("long table, sensors in turns", "time,sensor,value_g\n" + long_table("{:.4f},{},{:.4f}", *SENSORS),
         reads(FS, {"sensor 1": ("g", 50), "sensor 2": ("g", 80)})),
    Kind("long table, sensors stacked",
         "sensor,time,value_g\n" + "".join(rows(f"{n},{{:.4f}},{{:.4f}}", T, v) for n, v in SENSORS),
         reads(FS, {"sensor 1": ("g", 50), "sensor 2": ("g", 80)})),
    Kind("long table, axes by letter", "time,axis,value_g\n" + long_table("{:.4f},{},{:.4f}", ("X", X), ("Y", Y), ("Z", Z)),
         reads(FS, {"X": ("g", 50), "Y": ("g", 80), "Z": ("g", 20)})),
    Kind("long table, no time", "sensor_id,acc_g\n" + "".join(f"{k},{v[i]:.4f}\n" for i in range(len(T)) for k, v in SENSORS),
         asks("sensor_id 1: acc_g")),
    Kind("long table of Influx", INFLUX + influx(0, X, "acc_x") + influx(1, Y, "acc_y"),
         reads(FS, {"acc_x": (None, 50), "acc_y": (None, 80)})),
    Kind("rows of slower sensors between", "Utc,AccelX,Latitude\n" + "".join(
        f"{1710410400000 + i},{x:.4f},\n" + (",,39.717\n" if i % 4 == 0 else "") for i, x in enumerate(X)
    ), reads(FS, {"AccelX": (None, 50)}, left_out=("Latitude",))),
    Kind("three clocks", "epoc (ms),timestamp (+0100),elapsed (s),x-axis (g),y-axis (g)\n" + rows(
        "{},{},{:.3f},{:.4f},{:.4f}", 1710410400000 + np.round(T * 1e3).astype(int), stamps("%Y-%m-%dT%H.%M.%S.%f", cut=23),
        T, X, Y,
    ), reads(FS, {"x-axis (g)": ("g", 50), "y-axis (g)": ("g", 80)})),
    Kind("status columns", "Timestamp,Value,Quality,device_id\n" + rows(
        "{},{:.4f},192,1310988", stamps("%Y-%m-%d %H:%M:%S.%f"), X
    ), reads(FS, {"Value": (None, 50)}, left_out=("Quality", "device_id"))),
    Kind("directions, no units", "Time (s),DE_V,DE_H,DE_A\n" + rows("{:.4f},{:.4f},{:.4f},{:.4f}", T, X, Y, Z),
         reads(FS, {"DE_V": (None, 50), "DE_H": (None, 80), "DE_A": (None, 20)})),
    Kind("compass, no units", "Time (s),acc_N,acc_E,acc_Z\n" + rows("{:.4f},{:.4f},{:.4f},{:.4f}", T, X, Y, Z),
         reads(FS, {"acc_N": (None, 50), "acc_E": (None, 80), "acc_Z": (None, 20)})),
    Kind("a unit row with an unknown word", "Time,Acc DE,Temp\ns,g,°C\n" + rows("{:.4f},{:.4f},21.5", T, X),
         reads(FS, {"Acc DE": ("g", 50)}, only=False)),
    Kind("three header rows", "Time,Acc DE,Acc NDE\ns,g,g\nRaw,Raw,Raw\n" + rows("{:.4f},{:.4f},{:.4f}", T, X, Y),
         reads(FS, {"Acc DE": ("g", 50), "Acc NDE": ("g", 80)})),
    Kind("words in cells", timed("Time (s),Acc (g)\n", T, "{:.4f}").replace(",0.0", ",No Data"),
         reads(FS, gx(), nan=True)),
    Kind("minus of typesetters", PLAIN.replace("-", "\u2212"), reads(FS, gx())),
    Kind("exponents of Fortran", "Time (s),Acc (g)\n" + rows("{},{}", *([f"{v:.6E}".replace("E", "D") for v in w] for w in (T, X))),
         reads(FS, gx())),
    Kind("rate in the first rows", "1710410400.0,1710410400.0\n1000.0,1000.0\n" + rows("{:.0f},{:.0f}", X * 64, Y * 64),
         reads(FS, {"column_1": (None, 50), "column_2": (None, 80)})),
    Kind("header repeated", ("ax_g,ay_g\n" + rows("{:.4f},{:.4f}", X[:600], Y[:600])) * 3, refuses("ReadError", "holds 3 recordings")),
    Kind("points stacked", "".join(
        f"Point: {p}\nUnits: G\nSampling Rate: 1000 Hz\n" + rows("{:.5f}", v[:600]) for p, v in (("DE", X), ("NDE", Y))
    ), refuses("ReadError", "holds 2 recordings")),
    Kind("samples over several columns", "PEER\nACCELERATION TIME SERIES IN UNITS OF G\nNPTS=   2000, DT=   .0010 SEC\n" + "".join(
        " ".join(f"{v: .7E}" for v in X[k : k + 5]) + "\n" for k in range(0, len(X), 5)
    ), reads(FS, {"samples": ("G", 50)})),
    Kind("time signal beside its spectrum", FAG + "Time [s];Acceleration [g];Frequency [Hz];Amplitude [g]\n" + rows(
        "{:.6f};{:.6f};{:.4f};{:.6f}", T, X, FREQ, SPECTRUM
    ), reads(FS, gx("Acceleration [g]"), left_out=("Amplitude [g]",))),
    Kind("time signal beside its spectrum, no names", FAG + rows("{:.6f};{:.6f};{:.4f};{:.6f}", T, X, FREQ, SPECTRUM),
         reads(FS, {"column_2": (None, 50)}, left_out=("column_4",))),
    Kind("PULSE", PULSE + rows("{}\t{:.6e}\t{:.6e}", range(1, len(T) + 1), T, X), reads(FS, {"Acc 1": ("m/s²", 50)}), encoding="cp1252"),
    Kind("Dewesoft", DEWESOFT + rows("{:.7f}\t{:.6f}\t{}", T, X, ["21.5" if i % 100 == 0 else "" for i in range(len(T))]),
         reads(FS, {"AI 1 (g)": ("g", 50)}, left_out=("Temp (°C)",))),
    Kind("LabChart", LABCHART + rows("{:.3f}\t{:.5f}\t{:.5f}", T, X, Y), reads(FS, {"Acc A": ("V", 50), "Acc B": ("V", 80)})),
    Kind("Yokogawa", YOKOGAWA + rows(",{:.5E},{:.5E},", X, Y), reads(FS, {"CH1": ("V", 50), "CH2": ("V", 80)})),
    Kind("GCDC", GCDC + rows("{:.3f},{:.0f},{:.0f},{:.0f}", T, X * 500, Y * 500, Z * 500),
         reads(FS, {"Ax": (None, 50), "Ay": (None, 80), "Az": (None, 20)})),
    Kind("FAMOS", ("Kanal\tZeit\tBeschleunigung\nEinheit\ts\tg\nAbtastzeit\t0,001\n" + rows("\t{:.4f}\t{:.5f}", T, X)).replace(".", ","),
         reads(FS, gx("Beschleunigung"))),
    Kind("catman", "catman AP 5.4\nDate: 14.03.2024 10:00:00\nTime  1 - default [s]\tCH1 [g]\tTime  2 - slow [s]\tT1 [°C]\n" + "".join(
        f"{t:.4f}\t{x:.5f}" + (f"\t{i / 10:.4f}\t20,5" if i < 20 else "\t\t") + "\n" for i, (t, x) in enumerate(zip(T, X, strict=True))
    ).replace(".", ","), reads(FS, gx("CH1 [g]"), left_out=("T1 [°C]",)), encoding="cp1252"),
    Kind("rate below the table", "Sample,X,Y\n" + rows("{},{:.3f},{:.3f}", range(len(T)), X, Y) + "Rate 1000, overflows 0\n",
         reads(FS, {"X": (None, 50), "Y": (None, 80)})),
    Kind("packed with gzip", gzip.compress(PLAIN.encode()), reads(FS, gx()), suffix=".csv.gz"),
    Kind("packed with xz", lzma.compress(PLAIN.encode()), reads(FS, gx()), suffix=".csv.xz"),
    Kind("ZIP of one file", zipped(PLAIN), reads(FS, gx()), suffix=".zip"),
    Kind("Excel workbook", workbook(), reads(FS, gx()), suffix=".xlsx"),
]  # fmt: skip
