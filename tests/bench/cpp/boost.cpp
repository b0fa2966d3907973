// Times a heap beside that of Boost.Interprocess and malloc, on a trace of real allocations, and a pool beside its allocators
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

constexpr int ROUNDS = 11;
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

Trace read_trace(const char *path) {
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
        must(shmkit_heap_deallocate(heap, block, nullptr) == SHMKIT_OK, "deallocate");
        block = 0;
    }
    void resize(Handle &block, std::size_t len) {
        shmkit_block_t place{block, 0, nullptr};
        must(shmkit_heap_resize(heap, &place, len, 0, nullptr) == SHMKIT_OK, "resize");
        block = place.offset;
    }
    static bool is_live(Handle block) { return block != 0; }
    double fragmentation() {
        shmkit_heap_statistics_t statistics{};
        statistics.size = sizeof statistics;
        must(shmkit_heap_statistics(heap, &statistics, nullptr) == SHMKIT_OK, "statistics");
        return statistics.fragmentation;
    }
    std::size_t largest() {
        shmkit_heap_statistics_t statistics{};
        statistics.size = sizeof statistics;
        must(shmkit_heap_statistics(heap, &statistics, nullptr) == SHMKIT_OK, "statistics");
        return statistics.largest_free;
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

template <typename Heap> void play(Heap &heap, const Trace &trace, std::vector<typename Heap::Handle> &blocks) {
    for (const Step &step : trace.steps) {
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
}

// Nanoseconds a step; what is left at the end is released outside the time.
template <typename Heap> double time_of(Heap &heap, const Trace &trace) {
    std::vector<typename Heap::Handle> blocks(trace.blocks);
    auto start = std::chrono::steady_clock::now();
    play(heap, trace, blocks);
    auto end = std::chrono::steady_clock::now();
    for (auto &block : blocks)
        if (Heap::is_live(block))
            heap.release(block);
    return std::chrono::duration<double, std::nano>(end - start).count() / static_cast<double>(trace.steps.size());
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
    std::sort(our_times.begin(), our_times.end());
    std::sort(peer_times.begin(), peer_times.end());
    std::printf("{\"name\": \"%s\", \"ours_ns\": %.3f, \"peer_ns\": %.3f}\n", name.c_str(), our_times[rounds / 2],
                peer_times[rounds / 2]);
    std::fflush(stdout);
}

template <typename Peer>
void compare(const std::string &name, Shmkit &ours, Peer &peer, const Trace &trace) {
    report(name, ROUNDS, [&] { return time_of(ours, trace); }, [&] { return time_of(peer, trace); });
}

void heap_group(const char *path) {
    Trace trace = read_trace(path);
    const std::pair<const char *, shmkit_heap_strategy_t> strategies[] = {
        {"best_fit", SHMKIT_HEAP_STRATEGY_BEST_FIT},
        {"first_fit", SHMKIT_HEAP_STRATEGY_FIRST_FIT},
        {"buddy", SHMKIT_HEAP_STRATEGY_BUDDY},
    };
    for (auto [label, strategy] : strategies) {
        Shmkit ours(strategy);
        Boost boost;
        Malloc local;
        compare("heap.trace_" + std::string(label) + ".c.vs_boost_rbtree_best_fit", ours, boost, trace);
        compare("heap.trace_" + std::string(label) + ".c.vs_malloc", ours, local, trace);
        // Not times but thousandths: how fragmented what is free is at the end of the trace, and what it takes up to there.
        std::vector<Shmkit::Handle> our_blocks(trace.blocks);
        std::vector<Boost::Handle> boost_blocks(trace.blocks);
        play(ours, trace, our_blocks);
        play(boost, trace, boost_blocks);
        std::printf("{\"name\": \"heap.fragmentation_%s.c.vs_boost_rbtree_best_fit\", \"ours_ns\": %.3f, \"peer_ns\": %.3f, "
                    "\"unit\": \"thousandths\"}\n", label, ours.fragmentation() * 1000, boost.fragmentation() * 1000);
        // Of buddies the largest free block tells nothing: it is a power of two, so one small block in the wrong half halves it.
        if (strategy == SHMKIT_HEAP_STRATEGY_BUDDY)
            continue;
        std::printf("{\"name\": \"heap.footprint_%s.c.vs_boost_rbtree_best_fit\", \"ours_ns\": %.3f, \"peer_ns\": %.3f, "
                    "\"unit\": \"KiB\"}\n", label, (HEAP_LEN - ours.largest()) / 1024.0, (HEAP_LEN - boost.largest()) / 1024.0);
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
        heap_group("tests/traces/compile.trace");
    if (groups.empty() || std::find(groups.begin(), groups.end(), "pool") != groups.end())
        pool_group();
}
