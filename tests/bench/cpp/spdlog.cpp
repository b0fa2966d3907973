// Times the log beside spdlog, whose sinks write for one process: a line of 100 bytes through its file sink, which locks,
// and through its asynchronous logger, which hands lines to a thread. Built where spdlog's headers are.
#include <shmkit.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

namespace {

constexpr int ROUNDS = 51;
constexpr long COUNT = 20000;

void must(bool good, const char *what) {
    if (!good) {
        std::fprintf(stderr, "bench: %s\n", what);
        std::exit(1);
    }
}

double time_of(const std::function<void(long)> &work) {
    auto start = std::chrono::steady_clock::now();
    work(COUNT);
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / COUNT;
}

void compare(const char *name, const std::function<void(long)> &ours, const std::function<void(long)> &peer) {
    std::vector<double> our_times, peer_times;
    ours(COUNT);
    peer(COUNT);
    for (int round = 0; round < ROUNDS; round++) {
        our_times.push_back(time_of(ours));
        peer_times.push_back(time_of(peer));
    }
    std::sort(our_times.begin(), our_times.end());
    std::sort(peer_times.begin(), peer_times.end());
    std::printf("{\"name\": \"%s\", \"ours_ns\": %.3f, \"peer_ns\": %.3f}\n", name, our_times[ROUNDS / 2],
                peer_times[ROUNDS / 2]);
    std::fflush(stdout);
}

} // namespace

int main() {
    std::string directory = "bench-spdlog-" + std::to_string(getpid());
    shmkit_log_options_t options = SHMKIT_LOG_OPTIONS_INIT;
    options.segment_len = 16 << 20;
    options.retain_count = 4;
    shmkit_log_t *log = nullptr;
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    std::filesystem::create_directory(directory);
    must(shmkit_log_create((directory + "/log").c_str(), &options, &log, &error) == SHMKIT_OK, error.message);
    std::string line(100, 'x');
    auto append = [&](long count) {
        for (long i = 0; i < count; i++) {
            must(shmkit_log_append(log, 20, line.data(), line.size(), nullptr, nullptr) == SHMKIT_OK, "append");
        }
    };
    auto write_through = [&](const std::shared_ptr<spdlog::logger> &logger) {
        return [&line, logger](long count) {
            for (long i = 0; i < count; i++) {
                logger->info(line);
            }
            logger->flush();
        };
    };
    {
        auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(directory + "/locked", true);
        auto logger = std::make_shared<spdlog::logger>("locked", sink);
        logger->set_pattern("%v");
        compare("log.append_100.cpp.vs_spdlog_buffered", append, write_through(logger));
        // As safe from a crash of the process as our append is: each line reaches the kernel.
        logger->flush_on(spdlog::level::info);
        compare("log.append_100.cpp.vs_spdlog_flushed", append, write_through(logger));
    }
    {
        spdlog::init_thread_pool(65536, 1);
        auto logger = spdlog::basic_logger_mt<spdlog::async_factory>("async", directory + "/async", true);
        logger->set_pattern("%v");
        compare("log.append_100.cpp.vs_spdlog_async", append, write_through(logger));
    }
    spdlog::shutdown();
    shmkit_log_free(log);
    std::filesystem::remove_all(directory);
    return 0;
}
