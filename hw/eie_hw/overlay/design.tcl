# Block design: what the calls of eie::build_block_design do, and what is read back from Vivado afterwards.

# The one object that a query finds; Vivado itself only warns of none.
proc eie::one {query name} {
    set found [$query -quiet $name]
    if {[llength $found] != 1} {
        error "$query $name finds [llength $found] objects, must be 1"
    }
    return $found
}

proc eie::ip {name vlnv parameters} {
    create_bd_cell -type ip -vlnv $vlnv $name
    eie::configure $name $parameters
}

# The entity becomes a cell; its interfaces are inferred from the names of its ports, their clock from its attributes.
proc eie::module {name entity parameters} {
    create_bd_cell -type module -reference $entity $name
    eie::configure $name $parameters
}

# Newer releases have an inline block in place of the IP.
proc eie::concatenation {name parameters} {
    if {[llength [get_ipdefs -quiet -all xilinx.com:ip:xlconcat:*]]} {
        create_bd_cell -type ip -vlnv xilinx.com:ip:xlconcat $name
    } else {
        create_bd_cell -type inline_hdl -vlnv xilinx.com:inline_hdl:ilconcat $name
    }
    eie::configure $name $parameters
}

# The preferred interconnect, or SmartConnect where a release has it no more.
proc eie::interconnect {name vlnv parameters} {
    if {![llength [get_ipdefs -quiet -all $vlnv:*]]} {
        puts "WARNING: this release has no $vlnv; $name becomes a SmartConnect"
        set vlnv xilinx.com:ip:smartconnect
    }
    create_bd_cell -type ip -vlnv $vlnv $name
    eie::configure $name $parameters
}

# Clock and reset of an interconnect: one pair of pins, or with AXI Interconnect one more for each port.
proc eie::clock_interconnect {name ports clock reset} {
    if {[llength [get_bd_pins -quiet $name/aclk]]} {
        eie::net $clock [list $name/aclk]
        eie::net $reset [list $name/aresetn]
        return
    }
    foreach prefix [concat {""} $ports] {
        set before [expr {$prefix eq "" ? "" : "${prefix}_"}]
        eie::net $clock [list $name/${before}ACLK]
        eie::net $reset [list $name/${before}ARESETN]
    }
}

proc eie::configure {name parameters} {
    set properties {}
    dict for {key value} $parameters {
        lappend properties CONFIG.$key $value
    }
    if {[llength $properties]} {
        set_property -dict $properties [eie::one get_bd_cells $name]
    }
}

proc eie::external {pin vlnv} {
    set port [create_bd_intf_port -mode Master -vlnv $vlnv [file tail $pin]]
    connect_bd_intf_net $port [eie::one get_bd_intf_pins $pin]
}

proc eie::interface {master slave} {
    connect_bd_intf_net [eie::one get_bd_intf_pins $master] [eie::one get_bd_intf_pins $slave]
}

# A logic analyser looks at what passes between two interfaces that are connected already.
proc eie::watch {interface probe} {
    set net [get_bd_intf_nets -quiet -of_objects [eie::one get_bd_intf_pins $interface]]
    if {[llength $net] != 1} {
        error "$interface is on [llength $net] nets, must be 1"
    }
    connect_bd_intf_net -intf_net $net [eie::one get_bd_intf_pins $probe]
}

proc eie::net {driver driven} {
    foreach pin $driven {
        connect_bd_net [eie::one get_bd_pins $driver] [eie::one get_bd_pins $pin]
    }
}

proc eie::map {space segment base size} {
    assign_bd_address -offset $base -range $size -force \
        -target_address_space [eie::one get_bd_addr_spaces $space] [eie::one get_bd_addr_segs $segment]
}

# The memory, or as much of it as this processing system shows: without a preset of the board it may be less.
proc eie::map_memory {space segment base size} {
    variable memory_bytes
    set wanted $size
    while {[catch {eie::map $space $segment $base [format 0x%X $size]} message]} {
        set size [expr {$size / 2}]
        if {$size < 0x1000000} {
            error "$segment cannot be mapped at $base: $message"
        }
    }
    if {$size != $wanted} {
        puts "WARNING: $space reaches [expr {$size >> 20}] MiB of $segment, not [expr {$wanted >> 20}]"
    }
    if {![info exists memory_bytes] || $size < $memory_bytes} {
        set memory_bytes [expr {$size + 0}]
    }
}

# Not every release and part has each of these segments.
proc eie::hide {space segment base size} {
    set found [get_bd_addr_segs -quiet $segment]
    if {[llength $found]} {
        exclude_bd_addr_seg -offset $base -range $size \
            -target_address_space [eie::one get_bd_addr_spaces $space] $found
    }
}

# States which interfaces belong to the clock, where Vivado did not gather it from the attributes, and reads it back.
proc eie::associate {cell clock reset interfaces} {
    set pin [eie::one get_bd_pins $cell/$clock]
    if {[lsort [eie::associated $pin]] ne [lsort $interfaces]} {
        catch {set_property CONFIG.ASSOCIATED_BUSIF [join $interfaces :] $pin}
        catch {set_property CONFIG.ASSOCIATED_RESET $reset $pin}
    }
    set found [eie::associated $pin]
    if {[lsort $found] ne [lsort $interfaces]} {
        error "$pin clocks '$found', must be '$interfaces': Vivado has not read the attributes of the array's top entity"
    }
}

proc eie::associated {pin} {
    return [split [get_property -quiet CONFIG.ASSOCIATED_BUSIF $pin] :]
}

# After validation: the array and the clock that drives it must agree on the frequency, which must be the one wanted.
proc eie::check_clock {source cell clock interfaces wanted_mhz} {
    set frequency [eie::frequency [eie::one get_bd_pins $source]]
    if {abs($frequency - $wanted_mhz * 1e6) > 0.005 * $wanted_mhz * 1e6} {
        error "$source has [expr {$frequency / 1e6}] MHz, must be $wanted_mhz MHz"
    }
    set objects [list [eie::one get_bd_pins $cell/$clock]]
    foreach name $interfaces {
        lappend objects [eie::one get_bd_intf_pins $cell/$name]
    }
    foreach object $objects {
        set found [eie::frequency $object]
        if {$found != $frequency} {
            error "$object has a frequency of $found Hz, its clock $source $frequency Hz"
        }
    }
    return $frequency
}

proc eie::frequency {object} {
    set found [get_property -quiet CONFIG.FREQ_HZ $object]
    if {![string is double -strict $found]} {
        error "Vivado knows no frequency of $object"
    }
    return $found
}

# Vivado computes dividers for the PLL that it supposes; the board's own makes another clock of them, which the driver
# then sets right (pynq's Clocks), but which whoever loads the overlay by hand should know of.
proc eie::check_pll {cell properties pll_mhz} {
    lassign $properties actual first second
    foreach name {actual first second} {
        set value [get_property -quiet CONFIG.[set $name] [eie::one get_bd_cells $cell]]
        if {![string is double -strict $value]} {
            puts "WARNING: $cell does not tell [set $name]; the clock's PLL was not compared"
            return
        }
        set $name $value
    }
    set supposed [expr {$actual * $first * $second}]
    if {abs($supposed - $pll_mhz) > 0.01 * $pll_mhz} {
        set there [expr {double($pll_mhz) / ($first * $second)}]
        puts "WARNING: Vivado supposes a PLL of [format %.1f $supposed] MHz, the board's has $pll_mhz:\
            loaded without the driver of eie, the array would run at [format %.2f $there] MHz"
    }
}
