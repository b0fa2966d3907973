// Times a heap beside that of Boost.Interprocess and malloc, on traces of real allocations, and a pool beside its allocators
// for single objects: see ../rust/src/main.rs for the method. Arguments: the groups wanted, or none for all. Each step of a
// trace is an allocation, a release or a change of length.
#include <shmkit.h>

#include <algorithm>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/allocators/private_node_allocator.hpp>
#include <boost/interprocess/indexes/null_index.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>
#include <vector>

namespace ipc = boost::interprocess;

namespace {

constexpr int ROUNDS = 21;
// Of the pool: short enough for a round to run undisturbed on a busy machine.
constexpr int POOL_ROUNDS = 101;
constexpr std::size_t BATCH = 256;
constexpr std::size_t HEAP_LEN = 16 << 20;

void must(bool good, const char *what) {
    if (!good) {
        std::fprintf(stderr, "bench: %s failed\n", what);
        std::exit(1);
    }
}

enum class What : std::uint8_t { allocate, release, resize };

struct Step {
    What what;
    std::uint32_t number;
    std::uint32_t size;
};

struct Trace {
    std::vector<Step> steps;
    std::uint32_t blocks = 0;
};

Trace read_trace(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const std::string head = "shmkit trace 1\n";
    must(bytes.compare(0, head.size(), head) == 0, "reading the trace");
    Trace trace;
    std::size_t at = head.size();
    auto number = [&] {
        std::uint64_t value = 0;
        for (int shift = 0;; shift += 7) {
            auto byte = static_cast<unsigned char>(bytes.at(at++));
            value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
            if (byte < 0x80)
                return value;
        }
    };
    std::vector<std::uint32_t> free;
    while (at < bytes.size()) {
        std::uint64_t value = number();
        auto argument = static_cast<std::uint32_t>(value >> 2);
        switch (value & 3) {
        case 0: {
            std::uint32_t block = trace.blocks;
            if (free.empty()) {
                trace.blocks++;
            } else {
                block = free.back();
                free.pop_back();
            }
            trace.steps.push_back({What::allocate, block, argument});
            break;
        }
        case 1:
            trace.steps.push_back({What::release, argument, 0});
            free.push_back(argument);
            break;
        default:
            trace.steps.push_back({What::resize, argument, static_cast<std::uint32_t>(number())});
        }
    }
    return trace;
}

// Each heap knows a block by a handle of its own, 0 for none, and does the same three things.
struct Shmkit {
    using Handle = std::uint64_t;
    shmkit_heap_t *heap = nullptr;

    explicit Shmkit(shmkit_heap_strategy_t strategy) {
        std::string name = "bench-heap-" + std::to_string(getpid());
        shmkit_heap_options_t options{};
        options.size = sizeof options;
        options.len = HEAP_LEN;
        options.strategy = strategy;
        shmkit_error_t error = SHMKIT_ERROR_INIT;
        must(shmkit_heap_create(name.c_str(), &options, &heap, &error) == SHMKIT_OK, error.message);
        shmkit_region_unlink(name.c_str(), nullptr, nullptr);
    }
    ~Shmkit() { shmkit_heap_free(heap); }
    Shmkit(const Shmkit &) = delete;
    Handle allocate(std::size_t len) {
        shmkit_block_t block;
        must(shmkit_heap_allocate(heap, len, 0, 0, &block, nullptr) == SHMKIT_OK, "allocate");
        return block.offset;
    }
    void release(Handle &block) {
        must(shmkit_heap_free_block(heap, block, nullptr) == SHMKIT_OK, "free");
        block = 0;
    }
    void resize(Handle &block, std::size_t len) {
        shmkit_block_t place{block, 0, nullptr};
        must(shmkit_heap_resize(heap, &place, len, 0, nullptr) == SHMKIT_OK, "resize");
        block = place.offset;
    }
    static bool is_live(Handle block) { return block != 0; }
    double fragmentation() {
        shmkit_heap_status_t status{};
        status.size = sizeof status;
        must(shmkit_heap_status(heap, &status, nullptr) == SHMKIT_OK, "status");
        return status.fragmentation;
    }
    std::size_t largest() {
        shmkit_heap_status_t status{};
        status.size = sizeof status;
        must(shmkit_heap_status(heap, &status, nullptr) == SHMKIT_OK, "status");
        return status.largest_free;
    }
};

struct Boost {
    using Handle = void *;
    using Memory = ipc::basic_managed_shared_memory<char, ipc::rbtree_best_fit<ipc::mutex_family>, ipc::null_index>;
    std::string name = "bench-boost-" + std::to_string(getpid());
    Memory memory{ipc::create_only, name.c_str(), HEAP_LEN};

    Boost() { ipc::shared_memory_object::remove(name.c_str()); }
    Handle allocate(std::size_t len) { return memory.allocate(len); }
    void release(Handle &block) {
        memory.deallocate(block);
        block = nullptr;
    }
    void resize(Handle &block, std::size_t len) {
        std::size_t got = len;
        char *reuse = static_cast<char *>(block);
        auto how = ipc::expand_fwd | ipc::shrink_in_place | ipc::nothrow_allocation;
        if (memory.allocation_command<char>(how, len, got, reuse) != nullptr && reuse != nullptr)
            return;
        void *moved = memory.allocate(len);
        std::memcpy(moved, block, std::min(len, memory.get_segment_manager()->size(block)));
        memory.deallocate(block);
        block = moved;
    }
    static bool is_live(Handle block) { return block != nullptr; }
    // Boost tells what is free; the largest free block is found by trying.
    std::size_t largest() {
        std::size_t low = 0, high = memory.get_free_memory() + 1;
        while (low + 1 < high) {
            std::size_t middle = low + (high - low) / 2;
            void *block = memory.allocate(middle, std::nothrow);
            (block != nullptr ? low : high) = middle;
            if (block != nullptr)
                memory.deallocate(block);
        }
        return low;
    }
    double fragmentation() {
        return 1 - static_cast<double>(largest()) / static_cast<double>(memory.get_free_memory());
    }
};

struct Malloc {
    using Handle = void *;
    Handle allocate(std::size_t len) { return std::malloc(len); }
    void release(Handle &block) {
        std::free(block);
        block = nullptr;
    }
    void resize(Handle &block, std::size_t len) { block = std::realloc(block, len); }
    static bool is_live(Handle block) { return block != nullptr; }
};

template <typename Heap> void play(Heap &heap, const Step &step, std::vector<typename Heap::Handle> &blocks) {
    switch (step.what) {
    case What::allocate:
        blocks[step.number] = heap.allocate(step.size);
        break;
    case What::release:
        heap.release(blocks[step.number]);
        break;
    case What::resize:
        heap.resize(blocks[step.number], step.size);
    }
}

// A trace is timed piece by piece: whoever else runs on the machine disturbs some pieces of a round, and other ones of the next.
constexpr std::size_t PIECE = 1000;

// Adds the nanoseconds of each piece; what is left at the end is released outside the time.
template <typename Heap> void time_pieces(Heap &heap, const Trace &trace, std::vector<std::vector<double>> &times) {
    std::vector<typename Heap::Handle> blocks(trace.blocks);
    times.resize((trace.steps.size() + PIECE - 1) / PIECE);
    auto step = trace.steps.begin();
    for (auto &piece : times) {
        auto last = step + std::min<std::ptrdiff_t>(PIECE, trace.steps.end() - step);
        auto start = std::chrono::steady_clock::now();
        for (; step != last; ++step)
            play(heap, *step, blocks);
        auto end = std::chrono::steady_clock::now();
        piece.push_back(std::chrono::duration<double, std::nano>(end - start).count());
    }
    for (auto &block : blocks)
        if (Heap::is_live(block))
            heap.release(block);
}

double median(std::vector<double> &times) {
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    return times[times.size() / 2];
}

// Nanoseconds a step of a whole trace: the medians of its pieces together.
double time_of(std::vector<std::vector<double>> &times, const Trace &trace) {
    double sum = 0;
    for (auto &piece : times)
        sum += median(piece);
    return sum / static_cast<double>(trace.steps.size());
}

void tell(const std::string &name, double ours, double peer) {
    std::printf("{\"name\": \"%s\", \"ours_ns\": %.3f, \"peer_ns\": %.3f}\n", name.c_str(), ours, peer);
    std::fflush(stdout);
}

void tell_no_time(const std::string &name, double ours, double peer, const char *unit) {
    std::printf("{\"name\": \"%s.c.vs_boost_rbtree_best_fit\", \"ours_ns\": %.3f, \"peer_ns\": %.3f, \"unit\": \"%s\"}\n",
                name.c_str(), ours, peer, unit);
}

// Medians of both, in turn.
template <typename Ours, typename Peer> void report(const std::string &name, int rounds, Ours ours, Peer peer) {
    std::vector<double> our_times, peer_times;
    ours();
    peer();
    for (int round = 0; round < rounds; round++) {
        our_times.push_back(ours());
        peer_times.push_back(peer());
    }
    tell(name, median(our_times), median(peer_times));
}

// A round before those that count, in turn.
template <typename Peer>
void compare(const std::string &name, Shmkit &ours, Peer &peer, const Trace &trace) {
    std::vector<std::vector<double>> our_times, peer_times, first;
    time_pieces(ours, trace, first);
    time_pieces(peer, trace, first);
    for (int round = 0; round < ROUNDS; round++) {
        time_pieces(ours, trace, our_times);
        time_pieces(peer, trace, peer_times);
    }
    tell(name, time_of(our_times, trace), time_of(peer_times, trace));
}

// How a heap is used in the course of a trace: what is free in pieces, on average, and what it took at the most.
struct Course {
    double fragmentation = 0;
    double footprint = 0;
};

template <typename Heap> Course course_of(Heap &heap, const Trace &trace) {
    constexpr std::size_t LOOKS = 200;
    std::vector<typename Heap::Handle> blocks(trace.blocks);
    Course course;
    std::size_t every = std::max<std::size_t>(1, trace.steps.size() / LOOKS), looks = 0;
    for (std::size_t at = 0; at < trace.steps.size(); at++) {
        play(heap, trace.steps[at], blocks);
        if (at % every == 0) {
            course.fragmentation += heap.fragmentation();
            course.footprint = std::max(course.footprint, static_cast<double>(HEAP_LEN - heap.largest()));
            looks++;
        }
    }
    course.fragmentation /= static_cast<double>(looks);
    return course;
}

void heap_group(const std::string &label) {
    Trace trace = read_trace("tests/traces/" + label + ".trace");
    const std::pair<const char *, shmkit_heap_strategy_t> strategies[] = {
        {"best_fit", SHMKIT_HEAP_STRATEGY_BEST_FIT},
        {"first_fit", SHMKIT_HEAP_STRATEGY_FIRST_FIT},
        {"buddy", SHMKIT_HEAP_STRATEGY_BUDDY},
    };
    for (auto [strategy_label, strategy] : strategies) {
        std::string name = label + "_" + strategy_label;
        {
            Shmkit ours(strategy);
            Boost boost;
            Malloc local;
            compare("heap." + name + ".c.vs_boost_rbtree_best_fit", ours, boost, trace);
            compare("heap." + name + ".c.vs_malloc", ours, local, trace);
        }
        Shmkit ours(strategy);
        Boost boost;
        Course our_course = course_of(ours, trace), boost_course = course_of(boost, trace);
        tell_no_time("heap.fragmentation_" + name, our_course.fragmentation * 1000, boost_course.fragmentation * 1000, "thousandths");
        // Of buddies the largest free block tells nothing: it is a power of two, so one small block in the wrong half halves it.
        if (strategy != SHMKIT_HEAP_STRATEGY_BUDDY)
            tell_no_time("heap.footprint_" + name, our_course.footprint / 1024, boost_course.footprint / 1024, "KiB");
    }
}

// Pairs of an allocation and a release, nanoseconds each; `held` blocks at once.
template <typename Allocate, typename Release>
double time_of_pairs(std::size_t held, Allocate allocate, Release release) {
    constexpr std::size_t PAIRS = 20 * BATCH;
    std::vector<decltype(allocate())> blocks(held);
    auto start = std::chrono::steady_clock::now();
    for (std::size_t done = 0; done < PAIRS; done += held) {
        for (auto &block : blocks)
            block = allocate();
        for (auto &block : blocks)
            release(block);
    }
    auto end = std::chrono::steady_clock::now();
    return std::chrono::duration<double, std::nano>(end - start).count() / PAIRS;
}

struct Frame {
    char bytes[64];
};

// The pool beside what Boost has for objects of one size: one that takes from the segment at each call, under its mutex, and one
// that keeps a list of its own, without a lock and for one process alone.
template <typename Allocator> void compare_pool(const std::string &peer, const shmkit_pool_t *pool) {
    std::string name = "bench-boost-pool-" + std::to_string(getpid());
    ipc::managed_shared_memory memory(ipc::create_only, name.c_str(), 1 << 20);
    ipc::shared_memory_object::remove(name.c_str());
    Allocator boost(memory.get_segment_manager());
    for (std::size_t held : {std::size_t{1}, BATCH}) {
        auto ours = [&] {
            return time_of_pairs(
                held,
                [&] {
                    shmkit_pool_block_t block;
                    must(shmkit_pool_allocate(pool, &block, nullptr) == SHMKIT_OK, "allocate");
                    return block.handle;
                },
                [&](std::uint64_t block) {
                    must(shmkit_pool_free_block(pool, block, nullptr) == SHMKIT_OK, "free");
                });
        };
        // Only the calls for one object use the node allocator's list: allocate(1) goes to the segment.
        auto theirs = [&] {
            return time_of_pairs(held, [&] { return boost.allocate_one(); }, [&](auto &block) { boost.deallocate_one(block); });
        };
        report(held == 1 ? "pool.allocate_free.c.vs_" + peer : "pool.batch_of_256.c.vs_" + peer, POOL_ROUNDS, ours, theirs);
    }
}

void pool_group() {
    std::string name = "bench-pool-" + std::to_string(getpid());
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    shmkit_region_t *region = nullptr;
    must(shmkit_region_create(name.c_str(), 4096, nullptr, &region, &error) == SHMKIT_OK, error.message);
    shmkit_region_unlink(name.c_str(), nullptr, nullptr);
    shmkit_pool_options_t options = SHMKIT_POOL_OPTIONS_INIT;
    options.block_size = sizeof(Frame);
    options.count = 1024;
    shmkit_pool_t *pool = nullptr;
    must(shmkit_pool_open(region, "p", &options, &pool, &error) == SHMKIT_OK, error.message);
    using Segment = ipc::managed_shared_memory::segment_manager;
    compare_pool<ipc::allocator<Frame, Segment>>("boost_allocator", pool);
    compare_pool<ipc::private_node_allocator<Frame, Segment>>("boost_private_node_allocator", pool);
    shmkit_pool_free(pool);
    shmkit_region_free(region);
}

} // namespace

int main(int argc, char **argv) {
    std::vector<std::string> groups(argv + 1, argv + argc);
    if (groups.empty() || std::find(groups.begin(), groups.end(), "heap") != groups.end())
        for (const char *trace : {"compile", "query"})
            heap_group(trace);
    if (groups.empty() || std::find(groups.begin(), groups.end(), "pool") != groups.end())
        pool_group();
}
