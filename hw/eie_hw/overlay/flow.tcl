# What Vivado does with an overlay, from sources to files. The script that build_overlay.py writes sets the namespace
# variables below, defines eie::build_block_design and eie::check_block_design, and ends with a call of eie::run.
#
#   overlay         name of the files that come out
#   part            chip to build for
#   vivado          oldest Vivado release that will do, as {year number}
#   design          name of the block design
#   sources         VHDL files in the order of compilation, relative to the script
#   top             the array's entity; interfaces: names of its bus interfaces
#   vlnv            what the array is in the catalogue; packaged: 0 to take the entity as a module reference instead
#   description     JSON text of what is built, an object without its closing brace
#   jobs            processes that Vivado may start
#   clock_mhz       clock of the array; clocks: all that the board's PLL can be divided to, highest first
#   clock_cell, clock_property   what states the clock in the processing system
#   port_clock_mhz, port_clock_property   the same of the port to the memory, where it has a clock of its own; else the
#                   array's clock, and nothing
#   slower          1: publish at the highest clock that meets the timing, if the wanted one does not
#   strategies      of implementation, tried one after another until the timing is met
#   analyser_words  samples that a logic analyser inside the array keeps; 0: there is none
#   memory_limit    share of the LUTs that can be memory, in percent, above which placement is in danger

proc eie::run {} {
    variable overlay
    if {[catch {eie::build} message]} {
        eie::remove_partial
        puts stderr "ERROR: $overlay: $message"
        exit 1
    }
}

proc eie::build {} {
    variable overlay
    variable packaged
    variable analyser_words
    set version [eie::check_version [version -short]]
    eie::check_sources
    # What lies here after a failure must not be taken for its result.
    file delete -force -- $overlay.bit $overlay.hwh $overlay.json $overlay.ltx reports
    file mkdir reports
    eie::remove_partial
    if {$packaged} {
        eie::package
    }
    eie::make_project
    if {$analyser_words} {
        eie::add_probes
    }
    eie::synthesise
    eie::check_resources
    if {$analyser_words} {
        eie::write_probes
    }
    eie::publish $version {*}[eie::implement]
}

# Returns the version, after comparing it with the one the script is written for.
proc eie::check_version {version} {
    variable vivado
    lassign $vivado year number
    if {![regexp {(\d{4})\.(\d+)} $version -> this_year this_number]} {
        error "cannot tell the version of Vivado from '$version'; it must be $year.$number or newer"
    }
    set this [expr {$this_year * 100 + $this_number}]
    set wanted [expr {$year * 100 + $number}]
    if {$this < $wanted} {
        error "this is Vivado $version; it must be $year.$number or newer"
    }
    if {$this > $wanted} {
        puts "WARNING: this is Vivado $version; the script is written for $year.$number"
    }
    return $version
}

proc eie::check_sources {} {
    variable sources
    foreach source $sources {
        if {![file isfile $source]} {
            error "source file $source is missing; copy the whole directory, or run build_overlay.py again"
        }
    }
}

proc eie::make_project {} {
    variable part
    variable design
    variable sources
    variable packaged
    create_project -force eie vivado -part $part
    set_property target_language VHDL [current_project]
    if {$packaged} {
        eie::add_catalogue
    } else {
        add_files -norecurse $sources
        update_compile_order -fileset sources_1
    }
    create_bd_design $design
    eie::build_block_design
    validate_bd_design
    eie::check_block_design
    save_bd_design
    set diagram [get_files $design.bd]
    # One synthesis for all, whose options and reports are then those of the array, too (AMD UG994, "global synthesis").
    set_property synth_checkpoint_mode None $diagram
    generate_target all $diagram
    make_wrapper -files $diagram -top -import
    set_property top ${design}_wrapper [current_fileset]
    update_compile_order -fileset sources_1
}

proc eie::synthesise {} {
    variable jobs
    # Copies of a register, which spare it loads, must stay copies.
    set_property STEPS.SYNTH_DESIGN.ARGS.KEEP_EQUIVALENT_REGISTERS true [get_runs synth_1]
    launch_runs synth_1 -jobs $jobs
    eie::await synth_1
}

proc eie::await {name} {
    wait_on_run $name
    set run [get_runs $name]
    if {[get_property PROGRESS $run] ne "100%"} {
        error "$name failed: [get_property STATUS $run]; see [file join [get_property DIRECTORY $run] runme.log]"
    }
}

# Right after synthesis: what does not fit is told now and not after an hour of placement.
proc eie::check_resources {} {
    variable memory_limit
    open_run synth_1
    set text [report_utilization -return_string]
    set file [open [file join reports synthesis_utilization.rpt] w]
    puts $file $text
    close $file
    report_utilization -hierarchical -file [file join reports synthesis_utilization_by_unit.rpt]
    set failures {}
    foreach {pattern name} {
        {(?:Slice|CLB) LUTs\*?} LUTs {LUT as Memory} {LUTs as memory} {Block RAM Tile} {block RAMs} DSPs {DSP slices}
    } {
        lassign [eie::used $text $pattern] used available
        if {$used eq ""} {
            puts "WARNING: the utilisation report has no row of $name; they were not compared"
            continue
        }
        puts "after synthesis: $used of $available $name"
        if {$used > $available} {
            lappend failures "$used $name, the part has $available"
        } elseif {$name eq "LUTs as memory" && $used > $memory_limit / 100.0 * $available} {
            puts "WARNING: more than $memory_limit % of the LUTs that can be memory are: placement may fail"
        }
    }
    close_design
    if {[llength $failures]} {
        error "the array does not fit: [join $failures {; }]; take fewer PEs or a smaller queue_depth in board.json"
    }
}

# Returns {used available} of a row of a utilisation report, or nothing if it has no such row: the first number, and
# the one before the percentage, whatever columns a release puts between them.
proc eie::used {text pattern} {
    if {![regexp -line "^\\|\\s*$pattern\\s*\\|(.*)\\|\\s*$" $text -> rest]} {
        return {}
    }
    set numbers {}
    foreach cell [split $rest |] {
        set cell [string trim $cell " <"]
        if {[string is double -strict $cell]} {
            lappend numbers $cell
        }
    }
    return [list [lindex $numbers 0] [lindex $numbers end-1]]
}

# Returns {run clock_mhz setup_slack hold_slack} of the first strategy that meets the timing.
proc eie::implement {} {
    variable jobs
    variable strategies
    variable clock_mhz
    set best {}
    set number 0
    foreach strategy $strategies {
        incr number
        set name impl_$number
        if {$number > 1} {
            create_run $name -parent_run synth_1 -flow [get_property FLOW [get_runs impl_1]]
        }
        set_property strategy $strategy [get_runs $name]
        launch_runs $name -to_step write_bitstream -jobs $jobs
        eie::await $name
        eie::report $name
        lassign [eie::slacks $name] setup hold
        if {$setup >= 0} {
            puts "timing is met: setup slack $setup ns, hold slack $hold ns"
            return [list $name $clock_mhz $setup $hold]
        }
        puts "timing is not met with $strategy: setup slack $setup ns, reachable [eie::reachable $setup] MHz"
        if {![llength $best] || $setup > [lindex $best 1]} {
            set best [list $name $setup $hold]
        }
    }
    return [eie::take_slower {*}$best]
}

# Returns {setup hold} slack in ns. A slack that cannot be read is a failure, for then nothing was timed; so are hold
# and pulse width below 0, which no slower clock cures.
proc eie::slacks {name} {
    set run [get_runs $name]
    set failures {}
    foreach {property what} {WNS setup WHS hold TPWS "pulse width"} {
        set slack($property) [get_property STATS.$property $run]
        if {![string is double -strict $slack($property)]} {
            lappend failures "no $what slack ($property) is known"
        } elseif {$property ne "WNS" && $slack($property) < 0} {
            lappend failures "$what slack ($property) is $slack($property) ns"
        }
    }
    if {[llength $failures]} {
        error "timing is not met: [join $failures {, }]; see reports/$name/timing.rpt"
    }
    return [list $slack(WNS) $slack(WHS)]
}

# The clock of the array with which the timing is met. The slack may be that of either clock: both are made slower by
# as much as the faster one would need.
proc eie::reachable {setup} {
    variable clock_mhz
    variable port_clock_mhz
    set fastest [expr {max($clock_mhz, $port_clock_mhz)}]
    return [format %.1f [expr {1000.0 / (1000.0 / $clock_mhz - $setup * $fastest / $clock_mhz)}]]
}

# The timing is missed. One clock drives everything, or two in proportion, so the same bitstream is right at the clock
# that is reached; the processing system must only be told, for it is its description in the .hwh that sets the clock
# on the board.
proc eie::take_slower {name setup hold} {
    variable slower
    variable clocks
    variable clock_mhz
    variable clock_cell
    variable clock_property
    variable port_clock_mhz
    variable port_clock_property
    variable description
    variable design
    set reachable [eie::reachable $setup]
    set lower {}
    foreach clock $clocks {
        if {$clock <= $reachable && $lower eq ""} {
            set lower $clock
        }
    }
    set miss "timing is not met: setup slack (WNS) is $setup ns, the reachable clock $reachable MHz"
    if {$lower eq ""} {
        error "$miss, which the PLL cannot be divided to; see reports/$name/timing.rpt"
    }
    if {!$slower} {
        error "$miss; build for it with --clock-mhz $lower, or publish it with --slower; see reports/$name/timing.rpt"
    }
    puts "WARNING: $miss; the overlay is published for $lower MHz"
    set fastest [expr {max($clock_mhz, $port_clock_mhz)}]
    set setup [format %.3f [expr {$setup + (1000.0 / $lower - 1000.0 / $clock_mhz) * $clock_mhz / $fastest}]]
    set port_clock_mhz [expr {double($port_clock_mhz) * $lower / $clock_mhz}]
    regsub {"clock_mhz": [0-9.]+} $description "\"clock_mhz\": $lower" description
    set clock_mhz $lower
    open_bd_design [get_files $design.bd]
    set_property CONFIG.$clock_property $lower [eie::one get_bd_cells $clock_cell]
    if {$port_clock_property ne ""} {
        set_property CONFIG.$port_clock_property $port_clock_mhz [eie::one get_bd_cells $clock_cell]
    }
    validate_bd_design
    save_bd_design
    generate_target all [get_files $design.bd]
    return [list $name $lower $setup $hold]
}

proc eie::report {name} {
    set folder [file join reports $name]
    file mkdir $folder
    open_run $name
    foreach {file command} {
        utilization.rpt report_utilization
        utilization_by_unit.rpt {report_utilization -hierarchical}
        timing.rpt {report_timing_summary -max_paths 10}
        worst_paths.rpt {report_timing -max_paths 50 -nworst 1 -input_pins}
        control_sets.rpt {report_control_sets -verbose}
        high_fanout_nets.rpt {report_high_fanout_nets -timing -load_types -max_nets 50}
        congestion.rpt {report_design_analysis -congestion}
        methodology.rpt report_methodology
        drc.rpt report_drc
        power.rpt report_power
    } {
        if {[catch {{*}$command -file [file join $folder $file]} message]} {
            puts "WARNING: no $file: $message"
        }
    }
    close_design
}

# Puts the files in place under their names, .bit last: where it is, the others are, and of the same build.
proc eie::publish {version name clock setup hold} {
    variable overlay
    variable description
    variable memory_bytes
    variable design
    variable analyser_words
    set folder [get_property DIRECTORY [get_runs $name]]
    set bitstream [file join $folder ${design}_wrapper.bit]
    set handoff [file join vivado eie.gen sources_1 bd $design hw_handoff $design.hwh]
    file copy -force -- $bitstream $overlay.bit.partial
    file copy -force -- $handoff $overlay.hwh.partial
    set file [open $overlay.json.partial w]
    fconfigure $file -encoding utf-8
    puts $file "$description,"
    puts $file "  \"memory_bytes\": $memory_bytes,"
    puts $file "  \"vivado\": \"$version\","
    puts $file "  \"strategy\": \"[get_property strategy [get_runs $name]]\","
    puts $file "  \"setup_slack_ns\": $setup,"
    puts $file "  \"hold_slack_ns\": $hold"
    puts $file "\}"
    close $file
    if {$analyser_words} {
        # What the hardware manager needs to know the signals by.
        file copy -force -- [file join $folder ${design}_wrapper.ltx] $overlay.ltx
    }
    foreach ending {json hwh bit} {
        file rename -force -- $overlay.$ending.partial $overlay.$ending
    }
    puts "built $overlay.bit, $overlay.hwh, $overlay.json for $clock MHz; reports in reports/"
}

proc eie::remove_partial {} {
    variable overlay
    foreach ending {json hwh bit} {
        file delete -force -- $overlay.$ending.partial
    }
}
