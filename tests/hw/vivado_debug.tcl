# Debug cores, by AMD UG908 and UG835: which signals synthesis keeps for them, and what constraints may ask of them.

namespace eval stub {
    variable open 0
    variable constraints {}
    variable not_of_synthesis {}
    variable debug_ports {}
}

# {signal width} of those marked: the attribute stands in the architecture, after the signal's own declaration.
proc stub::marks {} {
    set found {}
    foreach source $stub::files {
        set file [open $source]
        set text [read $file]
        close $file
        if {![regexp {\narchitecture \w+ of (\w+) is\n} $text -> entity]} continue
        set head [stub::declarations $text $entity]
        foreach {mark name} [regexp -all -inline {attribute mark_debug of (\w+): signal is "true";} $head] {
            set before [string range $head 0 [string first $mark $head]]
            if {![regexp {attribute mark_debug: string;} $before]} {error "\[Synth 8-1031\] mark_debug is not declared"}
            if {![regexp "signal $name: (\\w+)(?:\\((\\d+) downto 0\\))?\[ ;\]" $before -> type high]} {
                error "\[Synth 8-1031\] $name is not declared"
            }
            set width [expr {$high eq "" ? 1 : $high + 1}]
            if {[regexp "type $type is\\s*\\((\[^)\]*)\\)" $before -> states]} {
                set width [expr {int(ceil(log([llength [split $states ,]]) / log(2)))}]
            }
            lappend found [list ${entity}_i1/$name $width]
        }
    }
    return $found
}

# The nets of the open design that are marked, under the cell that holds the array.
proc stub::marked_nets {} {
    if {!$stub::open} {error "\[Common 17-53\] no open design"}
    set nets {}
    dict for {cell entry} $stub::cells {
        if {![dict exists $entry marked]} continue
        foreach mark [dict get $entry marked] {
            lassign $mark name width
            for {set i 0} {$i < $width} {incr i} {
                set bit [expr {$width == 1 ? "" : "\[$i\]"}]
                lappend nets ${stub::design}_i/$cell/U0/$name$bit
            }
        }
    }
    return $nets
}

proc get_nets {args} {
    lassign [stub::parse $args {-quiet -hierarchical}] options rest
    set all [stub::marked_nets]
    if {[dict exists $options -of_objects]} {return ${stub::design}_i/clock}
    if {[dict exists $options -filter]} {
        if {[dict get $options -filter] ne "MARK_DEBUG"} {error "no filter [dict get $options -filter]"}
        return [expr {[stub::environment MARKS 1] ? $all : ""}]
    }
    foreach net [lindex $rest 0] {
        if {$net ni $all && $net ne "${stub::design}_i/clock"} {error "\[Vivado 12-507\] no nets matched '$net'"}
    }
    return [lindex $rest 0]
}

# A net is driven by a cell of its name; a register has a clock pin.
proc get_pins {args} {
    lassign [stub::parse $args {-quiet -leaf}] options
    if {[dict get $options -filter] eq "IS_CLOCK"} {return [lmap cell [dict get $options -of_objects] {set cell $cell/C}]}
    return [lmap net [dict get $options -of_objects] {set net ${net}_reg/Q}]
}

proc get_cells {args} {
    lassign [stub::parse $args -quiet] options
    return [lmap pin [dict get $options -of_objects] {file dirname $pin}]
}

proc stub::add_constraints {names} {
    foreach name $names {
        if {![file isfile $name]} {error "\[Vivado 12-172\] File or Directory '$name' does not exist"}
        lappend stub::constraints $name
        stub::record add_constraints $name
    }
}

# What implementation does with the constraints: every core must be connected, and synthesis must still be valid.
proc stub::read_constraints {} {
    set stub::debug_ports {}
    set stub::open 1
    foreach name $stub::constraints {
        if {$name ni $stub::not_of_synthesis && [file size $name]} {error "synth_1 is out of date: $name has changed"}
        uplevel #0 [list source $name]
    }
    set stub::open 0
    dict for {port entry} $stub::debug_ports {
        if {![dict exists $entry nets]} {error "\[Chipscope 16-213\] the debug port '$port' has unconnected channels"}
        stub::record probe [file tail $port] {*}[dict get $entry nets]
    }
}

proc create_debug_core {name type} {
    if {$type ne "ila"} {error "no debug core $type"}
    dict set stub::debug_ports $name/clk width 1
    dict set stub::debug_ports $name/probe0 width 1
}

proc create_debug_port {core type} {
    set number [llength [dict keys $stub::debug_ports $core/$type*]]
    if {!$number} {error "no debug core $core"}
    dict set stub::debug_ports $core/$type$number width 1
}

proc get_debug_cores {name} {
    if {![dict exists $stub::debug_ports $name/clk]} {error "no debug core $name"}
    return $name
}

proc get_debug_ports {name} {
    if {![dict exists $stub::debug_ports $name]} {error "no debug port $name"}
    return $name
}

proc stub::set_debug {key value object} {
    if {$key eq "port_width"} {
        dict set stub::debug_ports $object width $value
    } elseif {$key ne "C_DATA_DEPTH" || $value ni {1024 2048 4096 8192 16384 32768 65536 131072}} {
        error "\[Common 17-54\] $object takes no $key $value"
    }
}

proc connect_debug_port {port nets} {
    set width [dict get $stub::debug_ports [get_debug_ports $port] width]
    if {[llength $nets] != $width} {error "\[Chipscope 16-3\] $port has $width channels, not [llength $nets]"}
    dict set stub::debug_ports $port nets $nets
}
