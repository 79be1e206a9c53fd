# The logic analyser inside the array: which signals synthesis kept of those marked, as constraints that insert an ILA.

# Known to the project from the start, and not of synthesis: what is written to it later leaves the synthesis valid.
proc eie::add_probes {} {
    close [open probes.xdc w]
    add_files -fileset constrs_1 -norecurse probes.xdc
    set_property used_in_synthesis false [get_files probes.xdc]
}

# Writes the constraints (AMD UG908, "XDC Commands to Insert Debug Cores").
proc eie::write_probes {} {
    variable analyser_words
    open_run synth_1
    set nets [lsort -dictionary [get_nets -hierarchical -filter MARK_DEBUG]]
    set clock [eie::clock_of $nets]
    close_design
    if {$clock eq ""} {
        puts "WARNING: synthesis has left no marked register; the analyser shows streams and registers' bus alone"
        return
    }
    foreach net $nets {
        lappend probes([regsub {\[\d+\]$} $net {}]) $net
    }
    set file [open probes.xdc w]
    puts $file "create_debug_core inside_0 ila"
    puts $file "set_property C_DATA_DEPTH $analyser_words \[get_debug_cores inside_0\]"
    puts $file "set_property port_width 1 \[get_debug_ports inside_0/clk\]"
    puts $file "connect_debug_port inside_0/clk \[get_nets [list [list $clock]]\]"
    set number 0
    foreach name [lsort -dictionary [array names probes]] {
        set port inside_0/probe$number
        if {$number} {
            puts $file "create_debug_port inside_0 probe"
        }
        puts $file "set_property port_width [llength $probes($name)] \[get_debug_ports $port\]"
        puts $file "connect_debug_port $port \[get_nets [list $probes($name)]\]"
        incr number
    }
    close $file
    puts "$number signals inside the array are watched: [lmap name [lsort [array names probes]] {file tail $name}]"
}

# The clock of the first of the nets that a register drives, or nothing.
proc eie::clock_of {nets} {
    foreach net $nets {
        set driver [get_cells -quiet -of_objects [get_pins -quiet -leaf -of_objects [get_nets $net] -filter {DIRECTION == OUT}]]
        set pins [get_pins -quiet -of_objects $driver -filter IS_CLOCK]
        if {[llength $pins]} {
            return [lindex [get_nets -of_objects [lindex $pins 0]] 0]
        }
    }
    return ""
}
