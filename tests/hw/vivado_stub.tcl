# A stand-in for Vivado, run by tclsh. It models what Vivado reads: attributes of ports in architectures, the clock that an
# interface is associated to, frequencies from the processing system to each interface, the catalogue after packaging. It
# refuses cells, pins, parameters and values that vivado_cells.tcl, from public documents, does not have, and what Vivado
# is known to refuse; and it records every call.
#
#   tclsh vivado_stub.tcl -mode batch ... -source SCRIPT
#
# Environment: STUB_VERSION; STUB_WNS, STUB_WHS, STUB_TPWS (what the runs report, one after another), STUB_FAILED_RUN
# (name of a run that fails), STUB_HIDDEN (VLNV that the catalogue lacks), STUB_LUTRAM (LUTs as memory that synthesis
# reports), STUB_MARKS (0: synthesis keeps no marked signal), STUB_MEMORY (bytes that the memory's segment has),
# STUB_PLL (MHz that Vivado supposes on UltraScale+), STUB_RECORD (file that receives the calls, one a line, words
# separated by tabs).

namespace eval stub {
    variable catalog {}
    variable cells {}
    variable parameters {}
    variable ports {}
    variable interface_peers {}
    variable pin_drivers {}
    variable mappings {}
    variable excluded {}
    variable files {}
    variable design {}
    variable launched {}
    variable runs {impl_1 {}}
    variable associations {}
    variable core {}
    variable strategies {}
}

proc stub::define {vlnv interfaces pins parameters {spaces {}} {segments {}}} {
    dict set stub::catalog $vlnv [dict create interfaces $interfaces pins $pins parameters $parameters \
        spaces $spaces segments $segments]
}

source [file join [file dirname [info script]] vivado_cells.tcl]
source [file join [file dirname [info script]] vivado_debug.tcl]

proc stub::environment {name default} {
    return [expr {[info exists ::env(STUB_$name)] ? $::env(STUB_$name) : $default}]
}

proc stub::record {args} {
    set file [open [stub::environment RECORD /dev/null] a]
    puts $file [join $args \t]
    close $file
}

# {flags and options of a call as dict} {other arguments}
proc stub::parse {arguments flags} {
    set options {}
    set rest {}
    for {set i 0} {$i < [llength $arguments]} {incr i} {
        set word [lindex $arguments $i]
        if {![regexp {^-[a-z]} $word]} {
            lappend rest $word
        } elseif {$word in $flags} {
            dict set options $word 1
        } else {
            dict set options $word [lindex $arguments [incr i]]
        }
    }
    return [list $options $rest]
}

proc stub::catalog_entry {pattern} {
    set found {}
    dict for {vlnv entry} $stub::catalog {
        if {([string match $pattern $vlnv] || [string match $pattern:* $vlnv]) && $vlnv ne [stub::environment HIDDEN -]} {
            lappend found $vlnv
        }
    }
    return $found
}

# What a cell has, with the ports that its parameters give it.
proc stub::of_cell {cell what} {
    set entry [dict get $stub::cells $cell]
    set found [dict get $entry $what]
    set vlnv [dict get $entry vlnv]
    set count [dict create NUM_SI 1 NUM_MI 1 NUM_PORTS 2]
    set count [dict merge $count [dict get $stub::parameters $cell]]
    if {[regexp {smartconnect|axi_interconnect} $vlnv]} {
        foreach {parameter letter mode} {NUM_SI S slave NUM_MI M master} {
            for {set i 0} {$i < [dict get $count $parameter]} {incr i} {
                set port [format %s%02d $letter $i]
                if {$what eq "interfaces"} {
                    set clock [expr {[string match *smartconnect* $vlnv] ? "aclk" : "${port}_ACLK"}]
                    dict set found ${port}_AXI [list $mode axi $clock]
                }
                if {$what eq "pins" && [string match *axi_interconnect* $vlnv]} {
                    dict set found ${port}_ACLK i
                    dict set found ${port}_ARESETN i
                }
            }
        }
    }
    if {$what eq "pins" && [string match *smartconnect* $vlnv] && [dict exists $count NUM_CLKS]} {
        for {set i 1} {$i < [dict get $count NUM_CLKS]} {incr i} {dict set found aclk$i i}
    }
    if {$what eq "pins"} {
        foreach {enable pin} {PCW_EN_CLK1_PORT FCLK_CLK1 PSU__FPGA_PL1_ENABLE pl_clk1} {
            if {![dict exists $count $enable] || ![dict get $count $enable]} {dict unset found $pin}
        }
    }
    if {[string match *concat* $vlnv] && $what eq "pins"} {
        for {set i 0} {$i < [dict get $count NUM_PORTS]} {incr i} {dict set found In$i i}
    }
    return $found
}

# Interfaces and pins of an entity, by the names of its ports as Vivado infers them, and what its attributes say. Vivado
# reads the attributes of the architecture (AMD UG994, "HDL Parameters for Interface Inference"): what stands in the
# entity is not seen.
proc stub::entity {name} {
    foreach source $stub::files {
        set file [open $source]
        set text [read $file]
        close $file
        set head [string first "entity $name is" $text]
        if {$head < 0} continue
        set declarations [string range $text $head [string first "end entity $name" $text $head]]
        set interfaces {}
        set pins {}
        set segments {}
        foreach {- port direction} [regexp -all -inline {(\w+): (in|out) } $declarations] {
            if {[regexp {^(\w+)_tdata$} $port -> prefix]} {
                dict set interfaces $prefix [list [expr {$direction eq "in" ? "slave" : "master"}] axis {}]
            } elseif {[regexp {^(\w+)_awaddr$} $port -> prefix]} {
                dict set interfaces $prefix {slave axi {}}
                dict set segments $prefix/reg0 {0x0 0x10000}
            } elseif {![regexp {_(t|aw|w|b|ar|r)[a-z]+$} $port]} {
                dict set pins $port [expr {$direction eq "in" ? "i" : "o"}]
            }
        }
        set clocks {}
        set body [stub::declarations $text $name]
        if {$body ne ""} {
            set pattern {x_interface_parameter of (\w+): signal is "[^"]*ASSOCIATED_BUSIF ([\w:]+)}
            foreach {- port list} [regexp -all -inline $pattern $body] {
                if {[regexp "x_interface_info of $port: signal is \"xilinx.com:signal:clock:1.0 $port CLK\"" $body]} {
                    dict set clocks $port $list
                }
            }
        }
        return [dict create vlnv xilinx.com:module_ref:$name:1.0 interfaces $interfaces pins $pins parameters {} \
            spaces {} segments $segments clocks $clocks fixed 0 marked [stub::marks]]
    }
    error "\[filemgmt 56-195\] no file of the project has an entity $name"
}

# What an architecture declares: the text before its statements. A regular expression would take minutes for long files.
proc stub::declarations {text entity} {
    if {![regexp -indices "\narchitecture \\w+ of $entity is\n" $text place]} {return ""}
    set start [expr {[lindex $place 1] + 1}]
    return [string range $text $start [string first "\nbegin" $text $start]]
}

proc stub::find {what names} {
    set found {}
    foreach name $names {
        set cell [lindex [split $name /] 0]
        if {![dict exists $stub::cells $cell]} continue
        set inner [join [lrange [split $name /] 1 end] /]
        if {[dict exists [stub::of_cell $cell $what] $inner]} {lappend found $name}
    }
    return $found
}

proc stub::interface_kind {name} {
    if {[dict exists $stub::ports $name]} {return [list slave [dict get $stub::ports $name]]}
    lassign [split $name /] cell interface
    return [dict get [stub::of_cell $cell interfaces] $interface]
}

# Slave interfaces that a master reaches, through interconnects.
proc stub::reached {master} {
    if {![dict exists $stub::interface_peers $master]} {return {}}
    set slave [dict get $stub::interface_peers $master]
    set cell [lindex [split $slave /] 0]
    if {![regexp {smartconnect|axi_interconnect} [dict get [dict get $stub::cells $cell] vlnv]]} {return [list $slave]}
    set found {}
    dict for {interface kind} [stub::of_cell $cell interfaces] {
        if {[lindex $kind 0] eq "master"} {lappend found {*}[stub::reached $cell/$interface]}
    }
    return $found
}

# --- Vivado's commands ---

proc version {args} {return [stub::environment VERSION 2022.1]}
proc current_project {} {return eie}
proc current_fileset {} {return sources_1}
proc update_compile_order {args} {}
proc save_bd_design {} {}
proc get_runs {name} {
    if {$name ne "synth_1" && ![dict exists $stub::runs $name]} {error "no run $name"}
    return $name
}

proc create_project {args} {
    lassign [stub::parse $args -force] options rest
    stub::record create_project [dict get $options -part]
    set stub::part [dict get $options -part]
    file mkdir [lindex $rest 1]
}

proc add_files {args} {
    lassign [stub::parse $args -norecurse] options rest
    if {[dict exists $options -fileset]} {return [stub::add_constraints [lindex $rest 0]]}
    foreach name [lindex $rest 0] {
        if {![file isfile $name]} {error "\[Vivado 12-172\] File or Directory '$name' does not exist"}
        lappend stub::files $name
        stub::record add_files $name
    }
}

proc create_bd_design {name} {
    set stub::design $name
    stub::record create_bd_design $name
}

proc get_ipdefs {args} {
    lassign [stub::parse $args {-quiet -all}] - rest
    return [stub::catalog_entry [lindex $rest 0]]
}

proc create_bd_cell {args} {
    lassign [stub::parse $args {}] options rest
    set name [lindex $rest 0]
    if {$stub::design eq ""} {error "\[BD 41-1\] there is no current block design"}
    if {[dict exists $stub::cells $name]} {error "a cell $name exists already"}
    if {[dict get $options -type] eq "module"} {
        set entry [stub::entity [dict get $options -reference]]
    } else {
        set vlnv [stub::catalog_entry [dict get $options -vlnv]]
        if {[llength $vlnv] != 1} {error "\[BD 41-1712\] the catalog has no one [dict get $options -vlnv]"}
        if {([dict get $options -type] eq "ip") == [string match *:inline_hdl:* $vlnv]} {error "wrong type for $vlnv"}
        set entry [dict merge [dict get $stub::catalog [lindex $vlnv 0]] [dict create vlnv [lindex $vlnv 0]]]
    }
    dict set stub::cells $name $entry
    dict set stub::parameters $name {}
    if {[dict exists $entry clocks]} {
        dict for {pin list} [dict get $entry clocks] {dict set stub::associations $name/$pin $list}
    }
    stub::record create_bd_cell $name [dict get $entry vlnv]
    return $name
}

proc set_property {args} {
    lassign [stub::parse $args {}] options rest
    if {![dict exists $options -dict]} {
        lassign $rest key value object
        if {$key in {name version} && $object eq "core"} {dict set stub::core $key $value}
        if {$key eq "top"} {set stub::top $value}
        if {$key eq "used_in_synthesis" && !$value} {lappend stub::not_of_synthesis $object}
        if {[dict exists $stub::debug_ports $object] || [dict exists $stub::debug_ports $object/clk]} {
            return [stub::set_debug $key $value $object]
        }
        if {$key eq "ip_repo_paths"} {set stub::repository $value}
        stub::record set_property {*}$rest
        if {$key eq "strategy"} {
            if {$value ni $stub::strategies} {error "\[Common 17-69\] there is no strategy $value"}
            dict set stub::runs $object $value
        } elseif {[string match CONFIG.* $key]} {
            if {[llength [stub::find pins $object]]} {
                stub::set_pin $key $value $object
            } else {
                stub::set_parameters $object [list $key $value]
            }
        }
        return
    }
    stub::set_parameters [lindex $rest 0] [dict get $options -dict]
}

# A pin of a module reference can be told its associations; those of an IP are its own.
proc stub::set_pin {key value pin} {
    set entry [dict get $stub::cells [lindex [split $pin /] 0]]
    if {![dict exists $entry fixed] || [dict get $entry fixed]} {error "\[BD 41-737\] $key of $pin is read-only"}
    if {$key eq "CONFIG.ASSOCIATED_BUSIF"} {dict set stub::associations $pin $value}
}

proc stub::set_parameters {cell properties} {
    foreach {key value} $properties {
        set name [string range $key 7 end]
        set known [dict get [dict get $stub::cells $cell] parameters]
        if {![string match CONFIG.* $key] || ![dict exists $known $name]} {
            error "\[Common 17-54\] $cell has no property $key"
        }
        if {![regexp "^([dict get $known $name])\$" $value]} {
            error "\[IP_Flow 19-3461\] $value is no value of $key of $cell; one is [dict get $known $name]"
        }
        dict set stub::parameters $cell $name $value
        stub::record parameter $cell $name $value
    }
}

proc get_bd_cells {args} {
    lassign [stub::parse $args -quiet] - rest
    return [lmap name $rest {expr {[dict exists $stub::cells $name] ? $name : [continue]}}]
}

proc get_bd_intf_pins {args} {return [stub::find interfaces [lindex [stub::parse $args -quiet] 1]]}
proc get_bd_pins {args} {return [stub::find pins [lindex [stub::parse $args -quiet] 1]]}
proc get_bd_addr_spaces {args} {return [stub::find spaces [lindex [stub::parse $args -quiet] 1]]}
proc get_bd_addr_segs {args} {return [stub::find segments [lindex [stub::parse $args -quiet] 1]]}

proc create_bd_intf_port {args} {
    lassign [stub::parse $args {}] options rest
    set protocols {xilinx.com:interface:ddrx_rtl:1.0 ddr xilinx.com:display_processing_system7:fixedio_rtl:1.0 fixed}
    dict set stub::ports [lindex $rest 0] [dict get $protocols [dict get $options -vlnv]]
    return [lindex $rest 0]
}

proc get_bd_intf_nets {args} {
    lassign [stub::parse $args -quiet] options
    set pin [dict get $options -of_objects]
    if {![dict exists $stub::interface_peers $pin]} {return {}}
    return net:$pin
}

proc connect_bd_intf_net {args} {
    lassign [stub::parse $args {}] options rest
    if {[dict exists $options -intf_net]} {
        stub::monitor [string range [dict get $options -intf_net] 4 end] [lindex $rest 0]
        return
    }
    lassign $rest a b
    lassign [stub::interface_kind $a] mode_a protocol_a
    lassign [stub::interface_kind $b] mode_b protocol_b
    if {$mode_a eq $mode_b} {error "\[BD 41-171\] $a and $b are both $mode_a"}
    if {$protocol_a ne $protocol_b} {error "\[BD 41-171\] $a is $protocol_a, $b is $protocol_b"}
    foreach {one other} [list $a $b $b $a] {
        if {[dict exists $stub::interface_peers $one]} {error "\[BD 41-171\] $one is connected already"}
        dict set stub::interface_peers $one $other
    }
    stub::record connect_bd_intf_net $a $b
}

proc stub::monitor {watched probe} {
    lassign [stub::interface_kind $probe] mode protocol
    if {$mode ne "monitor" || $protocol ne [lindex [stub::interface_kind $watched] 1]} {
        error "\[BD 41-171\] $probe cannot watch $watched"
    }
    dict set stub::interface_peers $probe $watched
    stub::record monitor $watched $probe
}

proc connect_bd_net {driver pin} {
    foreach {name wanted} [list $driver o $pin i] {
        lassign [split $name /] cell inner
        if {($wanted eq "o") != ([dict get [stub::of_cell $cell pins] $inner] in {o c})} {
            error "\[BD 41-172\] $name has the wrong direction"
        }
    }
    if {[dict exists $stub::pin_drivers $pin]} {error "\[BD 41-172\] $pin is driven already"}
    dict set stub::pin_drivers $pin $driver
    stub::record connect_bd_net $driver $pin
}

proc assign_bd_address {args} {
    lassign [stub::parse $args -force] options rest
    set segment [lindex $rest 0]
    set space [dict get $options -target_address_space]
    set base [dict get $options -offset]
    set size [dict get $options -range]
    lassign [split $segment /] cell interface inner
    lassign [dict get [stub::of_cell $cell segments] $interface/$inner] - available
    if {[string match *DDR* $inner]} {set available [stub::environment MEMORY $available]}
    if {$size > $available} {error "\[BD 41-1075\] $segment has $available bytes, not $size"}
    if {$base % $size} {error "\[BD 41-1075\] $base is not aligned to $size"}
    foreach {other_space - other_base other_size} $stub::mappings {
        if {$other_space eq $space && $base < $other_base + $other_size && $other_base < $base + $size} {
            error "\[BD 41-1075\] $segment at $base overlaps another segment of $space"
        }
    }
    lappend stub::mappings $space $segment $base $size
    stub::record assign_bd_address $space $segment $base $size
}

proc exclude_bd_addr_seg {args} {
    lassign [stub::parse $args {}] options rest
    lassign [split [lindex $rest 0] /] cell interface inner
    lassign [dict get [stub::of_cell $cell segments] $interface/$inner] base size
    if {![dict exists $options -offset] || ![dict exists $options -range]} {
        error "\[BD 41-1356\] [lindex $rest 0] is not assigned: exclude_bd_addr_seg needs -offset and -range"
    }
    if {[dict get $options -offset] != $base || [dict get $options -range] != $size} {
        error "\[BD 41-1075\] [lindex $rest 0] lies at $base and has $size bytes"
    }
    lappend stub::excluded "[dict get $options -target_address_space] [lindex $rest 0]"
}

# What Vivado would complain of: open interfaces and pins, masters and slaves without addresses.
proc validate_bd_design {} {
    dict for {cell entry} $stub::cells {
        dict for {interface kind} [stub::of_cell $cell interfaces] {
            if {![dict exists $stub::interface_peers $cell/$interface]} {error "\[BD 41-758\] $cell/$interface is open"}
        }
        dict for {pin direction} [stub::of_cell $cell pins] {
            if {$direction eq "i" && ![dict exists $stub::pin_drivers $cell/$pin]} {
                error "\[BD 41-758\] $cell/$pin is not driven"
            }
        }
        dict for {space master} [dict get $entry spaces] {
            stub::validate_space $cell/$space $cell/$master
        }
    }
    stub::validate_clocks
    stub::record validate_bd_design
}

# The frequency of a clock pin: what drives it, in the end a clock of the processing system.
proc stub::pin_frequency {pin} {
    lassign [split $pin /] cell inner
    if {[dict get [stub::of_cell $cell pins] $inner] eq "c"} {
        return [lindex [stub::fabric_clock $cell [string index $inner end]] 0]
    }
    if {![dict exists $stub::pin_drivers $pin]} {return {}}
    return [stub::pin_frequency [dict get $stub::pin_drivers $pin]]
}

# Hz, MHz and the two divisors of a processing system's clock, by what Vivado supposes its PLL to be.
proc stub::fabric_clock {cell number} {
    set given [dict get $stub::parameters $cell]
    if {[string match *processing_system7* [dict get [dict get $stub::cells $cell] vlnv]]} {
        set pll 1000.0
        if {![dict get $given PCW_FPGA_FCLK${number}_ENABLE]} {error "FCLK_CLK$number of $cell is off"}
        set wanted [dict get $given PCW_FPGA${number}_PERIPHERAL_FREQMHZ]
    } else {
        set reference 33.333
        set factor 90
        if {[dict exists $given PSU__PSS_REF_CLK__FREQMHZ]} {set reference [dict get $given PSU__PSS_REF_CLK__FREQMHZ]}
        if {[dict exists $given PSU__CRL_APB__IOPLL_CTRL__FBDIV]} {
            set factor [dict get $given PSU__CRL_APB__IOPLL_CTRL__FBDIV]
        }
        set pll [stub::environment PLL [expr {$reference * $factor / 2}]]
        set wanted [dict get $given PSU__CRL_APB__PL${number}_REF_CTRL__FREQMHZ]
    }
    set divisor [expr {max(1, round($pll / $wanted))}]
    set mhz [expr {double($pll) / $divisor}]
    return [list [expr {round($mhz * 1e6)}] $mhz $divisor 1]
}

# The clock pin that an interface is associated to, by its IP's document or by what is known of the array; or nothing.
# A SmartConnect takes for each interface that of its pins which has the clock of the interface's peer (AMD PG247).
proc stub::clock_of {cell interface} {
    if {[string match *smartconnect* [dict get [dict get $stub::cells $cell] vlnv]]} {
        set clock [stub::clock_of {*}[split [dict get $stub::interface_peers $cell/$interface] /]]
        if {$clock eq ""} {return $cell/aclk}
        set source [dict get $stub::pin_drivers $clock]
        foreach pin [dict keys [dict filter [stub::of_cell $cell pins] key aclk*]] {
            if {[dict get $stub::pin_drivers $cell/$pin] eq $source} {return $cell/$pin}
        }
        error "\[BD 41-237\] no clock pin of $cell has the clock of $clock, $source"
    }
    dict for {pin list} $stub::associations {
        if {[lindex [split $pin /] 0] eq $cell && $interface in [split $list :]} {return $pin}
    }
    set clock [lindex [dict get [stub::of_cell $cell interfaces] $interface] 2]
    return [expr {$clock eq "" ? "" : "$cell/$clock"}]
}

# Without a clock Vivado assumes 100 MHz, [BD 41-967]; what is connected must then agree, [BD 41-237].
proc stub::interface_frequency {name} {
    lassign [split $name /] cell interface
    set clock [stub::clock_of $cell $interface]
    return [expr {$clock eq "" ? 100000000 : [stub::pin_frequency $clock]}]
}

proc stub::validate_clocks {} {
    dict for {one other} $stub::interface_peers {
        if {[string match */* $one] && [stub::clock_of {*}[split $one /]] eq "" && [string match *axi* $one]} {
            puts "CRITICAL WARNING: \[BD 41-967\] AXI interface pin /$one is not associated to any clock pin"
        }
    }
    dict for {one other} $stub::interface_peers {
        if {[dict exists $stub::ports $one] || [dict exists $stub::ports $other]} continue
        set first [stub::interface_frequency $one]
        set second [stub::interface_frequency $other]
        if {$first != $second} {
            error "\[BD 41-237\] FREQ_HZ of $one is $first, of $other $second"
        }
    }
}

proc stub::validate_space {space master} {
    set reached [stub::reached $master]
    set expected {}
    foreach slave $reached {
        set cell [lindex [split $slave /] 0]
        dict for {segment -} [stub::of_cell $cell segments] {
            # The memory port of UltraScale+ has one name as an interface and another in its segments.
            set behind [string map {SAXIGP2 S_AXI_HP0_FPD} [lindex [split $segment /] 0]]
            if {"$cell/$behind" eq $slave} {lappend expected $cell/$segment}
        }
    }
    set mapped {}
    foreach {its_space segment - -} $stub::mappings {
        if {$its_space eq $space} {lappend mapped $segment}
    }
    foreach segment $mapped {
        if {$segment ni $expected} {error "\[BD 41-1075\] $space does not reach $segment"}
    }
    foreach segment $expected {
        if {$segment ni $mapped && "$space $segment" ni $stub::excluded} {
            error "\[BD 41-1356\] $segment is not mapped into $space"
        }
    }
}

proc get_files {name} {
    if {$name ne "$stub::design.bd" && $name ni $stub::constraints} {error "no file $name"}
    return $name
}

proc generate_target {what diagram} {
    set folder [file join vivado eie.gen sources_1 bd $stub::design hw_handoff]
    file mkdir $folder
    set file [open [file join $folder $stub::design.hwh] w]
    puts $file "<EDKSYSTEM><SYSTEMINFO NAME=\"$stub::design\"/></EDKSYSTEM>"
    close $file
}

proc make_wrapper {args} {stub::record make_wrapper}

proc create_run {name args} {
    lassign [stub::parse $args {}] options
    if {[dict exists $stub::runs $name]} {error "\[Common 17-69\] there is a run $name"}
    if {[dict get $options -parent_run] ne "synth_1" || [dict get $options -flow] ne [get_property FLOW impl_1]} {
        error "\[Common 17-69\] wrong parent or flow of $name"
    }
    dict set stub::runs $name {}
    stub::record create_run $name
    return $name
}

proc launch_runs {name args} {
    lassign [stub::parse $args {}] options
    lappend stub::launched $name
    stub::record launch_runs $name
    set folder [get_property DIRECTORY $name]
    file mkdir $folder
    close [open [file join $folder runme.log] w]
    if {[dict exists $options -to_step] && $name ne [stub::environment FAILED_RUN -]} {
        stub::read_constraints
        if {[dict size $stub::debug_ports] || [string match *system_ila* $stub::cells]} {
            close [open [file join $folder ${stub::design}_wrapper.ltx] w]
        }
        set file [open [file join $folder ${stub::design}_wrapper.bit] w]
        puts $file "${stub::design}_wrapper"
        close $file
    }
}

proc wait_on_run {name} {
    if {$name ni $stub::launched} {error "$name was not launched"}
}

proc open_run {name} {
    stub::record open_run $name
    set stub::open 1
}
proc close_design {} {set stub::open 0}
proc open_bd_design {diagram} {stub::record open_bd_design [get_files $diagram]}

# What a run reports: the value of its number, or the last there is.
proc stub::of_run {name variable default} {
    set values [split [stub::environment $variable $default] { }]
    regexp {\d+$} $name number
    return [lindex $values [expr {min($number, [llength $values]) - 1}]]
}

proc get_property {args} {
    lassign [stub::parse $args -quiet] options rest
    lassign $rest property object
    if {[string match CONFIG.* $property]} {return [stub::configured [string range $property 7 end] $object]}
    switch -glob $property {
        DIRECTORY {return [file join vivado eie.runs $object]}
        FLOW {return "Vivado Implementation [lindex [split [version] .] 0]"}
        strategy {return [dict get $stub::runs $object]}
        PROGRESS {return [expr {$object eq [stub::environment FAILED_RUN -] ? "42%" : "100%"}]}
        STATUS {return [expr {$object eq [stub::environment FAILED_RUN -] ? "place_design ERROR" : "complete"}]}
        STATS.WNS {return [stub::of_run $object WNS 0.123]}
        STATS.WHS {return [stub::of_run $object WHS 0.045]}
        STATS.TPWS {return [stub::of_run $object TPWS 0.000]}
        default {error "no property $property of $object"}
    }
}

# Properties of pins, interface pins and cells. Frequencies are known after validation only.
proc stub::configured {name object} {
    if {[llength [stub::find interfaces $object]] && $name eq "FREQ_HZ"} {return [stub::interface_frequency $object]}
    if {[llength [stub::find pins $object]]} {
        if {$name eq "FREQ_HZ"} {return [stub::pin_frequency $object]}
        if {$name eq "ASSOCIATED_BUSIF" && [dict exists $stub::associations $object]} {
            return [dict get $stub::associations $object]
        }
        return {}
    }
    foreach pattern {ACT_*FREQMHZ* DIVISOR0 DIVISOR1} index {1 2 3} {
        if {[string match *$pattern $name]} {return [lindex [stub::fabric_clock $object 0] $index]}
    }
    return [dict get [dict get $stub::parameters $object] $name]
}

proc stub::write_file {name} {
    stub::record write_file $name
    close [open $name w]
}

# Reports: the flags of each, by AMD UG835; report_utilization alone is also asked for its text.
foreach {command flags} {
    report_utilization -hierarchical report_timing_summary {} report_timing -input_pins report_drc {} report_power {}
    report_control_sets -verbose report_high_fanout_nets {-timing -load_types} report_methodology {}
    report_design_analysis -congestion
} {
    proc $command {args} "return \[stub::report $command {$flags} \$args\]"
}

proc stub::report {command flags arguments} {
    lassign [stub::parse $arguments [list {*}$flags -return_string]] options rest
    if {[llength $rest]} {error "\[Common 17-165\] $command does not know $rest"}
    if {[dict exists $options -return_string]} {return [stub::utilization]}
    stub::write_file [dict get $options -file]
}

# Rows as Vivado 2022.1 prints them, of the part of the project.
proc stub::utilization {} {
    lassign [expr {[string match xc7* $stub::part] ? {Slice 53200 17400 140 220} : {CLB 117120 57600 144 1248}}] \
        kind luts memory blocks dsps
    set rows [list "$kind LUTs*" 34000 $luts "  LUT as Logic" 20000 $luts "  LUT as Memory" \
        [stub::environment LUTRAM 12000] $memory "Block RAM Tile" 129.5 $blocks DSPs 64 $dsps]
    set text "+---+\n| Site Type | Used | Fixed | Prohibited | Available | Util% |\n+---+\n"
    foreach {name used available} $rows {
        append text "| $name | $used | 0 | 0 | $available | [format %.2f [expr {100.0 * $used / $available}]] |\n"
    }
    return $text
}

# --- The packager, AMD UG1118: what a packaged core has, and what the catalogue then holds ---

namespace eval ipx {}

proc ipx::package_project {args} {
    lassign [stub::parse $args {-import_files -force}] options rest
    if {![dict exists $options -import_files]} {error "the core would refer to files outside its folder"}
    set stub::core [dict create entity [stub::entity $stub::top] folder [dict get $options -root_dir] \
        vendor [dict get $options -vendor] library [dict get $options -library] name $stub::top version 1.0]
    file mkdir [dict get $options -root_dir]
    stub::record package_project $stub::top
}

proc ipx::current_core {} {return core}

proc ipx::get_bus_interfaces {args} {
    lassign [stub::parse $args -quiet] - rest
    set name [lindex $rest 0]
    return [expr {[dict exists $stub::core entity interfaces $name] ? $name : ""}]
}

proc ipx::associate_bus_interfaces {args} {
    lassign [stub::parse $args {}] options
    set clock [dict get $options -clock]
    if {![dict exists $stub::core entity pins $clock]} {error "\[IP_Flow 19-459\] no port $clock"}
    if {[dict exists $options -busif]} {
        set list {}
        catch {set list [split [dict get $stub::core entity clocks $clock] :]}
        if {[dict get $options -busif] ni $list} {lappend list [dict get $options -busif]}
        dict set stub::core entity clocks $clock [join $list :]
    }
    stub::record associate [dict get $options -clock] {*}[dict values [dict remove $options -clock]]
}

foreach command {create_xgui_files update_checksums check_integrity} {
    proc ipx::$command {args} {}
}

proc ipx::save_core {core} {
    set file [open [file join [dict get $stub::core folder] component.xml] w]
    puts $file $stub::core
    close $file
}

proc close_project {} {
    set stub::files {}
}

proc update_ip_catalog {args} {
    set file [open [file join $stub::repository component.xml]]
    set core [read $file]
    close $file
    set vlnv [join [list [dict get $core vendor] [dict get $core library] [dict get $core name] [dict get $core version]] :]
    dict set stub::catalog $vlnv [dict merge [dict get $core entity] [dict create vlnv $vlnv fixed 1]]
    stub::record update_ip_catalog $vlnv
}

set source_index [lsearch -exact $argv -source]
source [lindex $argv [expr {$source_index + 1}]]
exit 0
