"""The log beside os.write, and its handler beside that of logging: the same records."""

import logging
import os
import tempfile

import shmkit


def run(compare):
    with tempfile.TemporaryDirectory(dir=".") as directory:
        log = shmkit.Log.create(f"{directory}/log", segment_len=16 << 20, retain_count=4)
        fd = os.open(f"{directory}/plain", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        ours = {"append": log.append, "data": b"x" * 100}
        peer = {"write": os.write, "fd": fd, "data": b"x" * 100}
        compare("log.append_100.python.vs_os_write", 50_000, "append(data)", "write(fd, data)", ours, peer)
        os.close(fd)
        compare_handlers(compare, log, f"{directory}/handled")


def compare_handlers(compare, log, path):
    """A handler alone, and as a part of a call of the logger, whose own machinery both bear."""
    text = "request %d took %d us on %s"
    record = logging.LogRecord("bench", logging.INFO, __file__, 1, text, (7, 250, "the first worker"), None)
    plain = logging.LogRecord("bench", logging.INFO, __file__, 1, "x" * 100, None, None)
    for name, format in [("message", None), ("time_and_level", "%(asctime)s %(levelname)s %(name)s: %(message)s")]:
        our_handler, peer_handler = shmkit.LogHandler(log), logging.FileHandler(path)
        for handler in (our_handler, peer_handler):
            handler.setFormatter(logging.Formatter(format) if format else None)
        for kind, what in [("plain", plain), ("arguments", record)]:
            ours = {"handle": our_handler.handle, "record": what}
            peer = {"handle": peer_handler.handle, "record": what}
            case = f"log.handler_{name}_{kind}.python.vs_file_handler"
            compare(case, 20_000, "handle(record)", "handle(record)", ours, peer)
        names = []
        for handler in (our_handler, peer_handler):
            logger = logging.Logger("bench")
            logger.addHandler(handler)
            names.append({"info": logger.info})
        call = "info('request %d took %d us on %s', 7, 250, 'the first worker')"
        compare(f"log.logger_info_{name}.python.vs_file_handler", 10_000, call, call, *names)
        if format is None:
            floor = logging.Logger("bench")
            floor.addHandler(logging.NullHandler())
            call_of_nothing = {"info": floor.info}
            compare("log.logger_info_of_nothing.python.vs_file_handler", 10_000, call, call, call_of_nothing, names[1])
            message = "'request %d took %d us on %s' % (7, 250, 'the first worker')"
            direct = {"info": shmkit.TextLogger(log).info}
            case = "log.text_logger.python.vs_logger_and_file_handler"
            compare(case, 20_000, f"info({message})", call, direct, names[1])
        peer_handler.close()
