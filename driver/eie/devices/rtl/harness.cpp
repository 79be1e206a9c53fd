// Plays the bus masters of a converted array: a DMA on both streams, and AXI4-Lite. The C functions are the
// interface of eie_hw/rtl_device.py.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "Veie_top.h"
#include "verilated.h"

// Words of 64 bits that the stream brings at once: a flit.
#ifndef STREAM_WORDS
#define STREAM_WORDS 1
#endif

namespace {

struct Word {
    uint64_t data;
    uint8_t keep;
    bool last;
};

struct Device {
    VerilatedContext context;
    Veie_top top{&context};
    std::deque<Word> input;
    std::vector<uint64_t> output;                // the packet that is arriving
    std::deque<std::vector<uint64_t>> packets;   // complete ones
    uint64_t cycles = 0;
    uint64_t random;
    uint32_t source_pause, sink_pause;           // of 2^32
    size_t offering = 0;                         // words offered: tvalid must hold until tready
    bool receiving = true;                       // a receiver that is not armed keeps tready low

    explicit Device(uint64_t seed, uint32_t source, uint32_t sink)
        : random(seed * 0x9E3779B97F4A7C15u + 1), source_pause(source), sink_pause(sink) {}

    bool pause(uint32_t probability) {
        if (probability == 0) return false;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return uint32_t(random >> 32) < probability;
    }

    // Words of the next flit that are there; all of it, unless the packet ends before.
    size_t next_flit() const {
        size_t count = 0;
        while (count < STREAM_WORDS && count < input.size())
            if (input[count++].last) return count;
        return count == STREAM_WORDS ? count : 0;
    }

    void offer(size_t count) {
        uint32_t keep = 0;
        for (size_t i = 0; i < STREAM_WORDS; ++i) {
            const Word word = i < count ? input[i] : Word{0, 0, false};
#if STREAM_WORDS == 1
            top.s_axis_tdata = word.data;
#else
            top.s_axis_tdata[2 * i] = uint32_t(word.data);
            top.s_axis_tdata[2 * i + 1] = uint32_t(word.data >> 32);
#endif
            keep |= uint32_t(word.keep) << 8 * i;
        }
        top.s_axis_tkeep = keep;
        top.s_axis_tlast = input[count - 1].last;
        offering = count;
    }

    void clock() {
        if (!offering)
            if (const size_t count = next_flit(); count && !pause(source_pause)) offer(count);
        top.s_axis_tvalid = offering != 0;
        top.m_axis_tready = receiving && !pause(sink_pause);
        top.aclk = 0;
        top.eval();
        const bool sent = offering && top.s_axis_tready;
        if (top.m_axis_tvalid && top.m_axis_tready) {
            output.push_back(top.m_axis_tdata);
            if (top.m_axis_tlast) {
                packets.push_back(std::move(output));
                output.clear();
            }
        }
        top.aclk = 1;
        top.eval();
        if (sent) {
            input.erase(input.begin(), input.begin() + offering);
            offering = 0;
        }
        ++cycles;
    }

    void drop_streams() {
        input.clear();
        offering = 0;
        output.clear();
        packets.clear();
    }

    void reset() {
        drop_streams();
        top.aresetn = 0;
        for (int i = 0; i < 20; ++i) clock();
        top.aresetn = 1;
        for (int i = 0; i < 20; ++i) clock();
    }
};

}  // namespace

extern "C" {

void* eie_open(uint64_t seed, uint32_t source_pause, uint32_t sink_pause) {
    auto* device = new Device(seed, source_pause, sink_pause);
    device->reset();
    return device;
}

void eie_close(void* handle) { delete static_cast<Device*>(handle); }

// Queue words; `last` says whether the final one ends the packet.
void eie_send(void* handle, const uint64_t* words, uint64_t count, uint8_t keep, int last) {
    auto* device = static_cast<Device*>(handle);
    for (uint64_t i = 0; i < count; ++i) device->input.push_back({words[i], keep, last && i + 1 == count});
}

// Clock until one more packet is complete, the input is taken (if asked), or the limit; tell whether words moved.
uint64_t eie_run(void* handle, uint64_t limit, int until_sent) {
    auto* device = static_cast<Device*>(handle);
    const size_t packets = device->packets.size();
    const size_t before = device->input.size() + device->output.size();
    uint64_t i = 0;
    for (; i < limit && device->packets.size() == packets && !(until_sent && device->input.empty()); ++i)
        device->clock();
    return before != device->input.size() + device->output.size() || device->packets.size() != packets;
}

uint64_t eie_pending(void* handle) { return static_cast<Device*>(handle)->input.size(); }

// Words of the oldest packet, 0 if there is none.
uint64_t eie_packet(void* handle) {
    auto* device = static_cast<Device*>(handle);
    return device->packets.empty() ? 0 : device->packets.front().size();
}

// Take words of the oldest packet, complete or arriving; tell how many, and whether the packet ends with them.
uint64_t eie_take(void* handle, uint64_t* words, uint64_t limit, int* last) {
    auto* device = static_cast<Device*>(handle);
    const bool complete = !device->packets.empty();
    auto& packet = complete ? device->packets.front() : device->output;
    const uint64_t count = std::min<uint64_t>(limit, packet.size());
    std::copy_n(packet.begin(), count, words);
    packet.erase(packet.begin(), packet.begin() + count);
    *last = complete && packet.empty();
    if (*last) device->packets.pop_front();
    return count;
}

void eie_receiving(void* handle, int receiving) { static_cast<Device*>(handle)->receiving = receiving; }

void eie_drop(void* handle) { static_cast<Device*>(handle)->drop_streams(); }

void eie_reset(void* handle) { static_cast<Device*>(handle)->reset(); }

uint64_t eie_cycles(void* handle) { return static_cast<Device*>(handle)->cycles; }

// Verilator renames a port called interrupt.
int eie_interrupt(void* handle) { return static_cast<Device*>(handle)->top.__SYM__interrupt; }

// Register access; the streams go on meanwhile. Return false if the slave does not answer.
int eie_read(void* handle, uint32_t address, uint32_t* value) {
    auto* device = static_cast<Device*>(handle);
    auto& top = device->top;
    top.s_axi_araddr = address;
    top.s_axi_arvalid = 1;
    for (int i = 0; i < 1000; ++i) {
        const bool taken = top.s_axi_arready;
        device->clock();
        if (taken) {
            top.s_axi_arvalid = 0;
            top.s_axi_rready = 1;
            for (int j = 0; j < 100000; ++j) {
                const bool valid = top.s_axi_rvalid;
                *value = top.s_axi_rdata;
                device->clock();
                if (valid) {
                    top.s_axi_rready = 0;
                    return 1;
                }
            }
            return 0;
        }
    }
    return 0;
}

int eie_write(void* handle, uint32_t address, uint32_t value) {
    auto* device = static_cast<Device*>(handle);
    auto& top = device->top;
    top.s_axi_awaddr = address;
    top.s_axi_wdata = value;
    top.s_axi_wstrb = 0xF;
    top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 1;
    for (int i = 0; i < 1000; ++i) {
        const bool address_taken = top.s_axi_awready, data_taken = top.s_axi_wready, done = top.s_axi_bvalid;
        device->clock();
        if (address_taken) top.s_axi_awvalid = 0;
        if (data_taken) top.s_axi_wvalid = 0;
        if (done) {
            top.s_axi_bready = 0;
            return 1;
        }
    }
    return 0;
}
}
