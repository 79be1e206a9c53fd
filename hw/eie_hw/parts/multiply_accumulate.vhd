-- Multiply-accumulate of one DSP slice: total <= weight * activation + (addend, the last total, or 0).
-- The operands are registered, then the product, then the total.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity multiply_accumulate is
    port (
        clk : in std_logic;
        enable : in std_logic;
        weight : in unsigned(15 downto 0);
        activation : in unsigned(15 downto 0);
        addend : in unsigned(47 downto 0);
        use_total : in std_logic;
        use_zero : in std_logic;
        total : out unsigned(47 downto 0)
    );
end entity;

architecture rtl of multiply_accumulate is
    signal weight_held, activation_held : signed(15 downto 0);
    signal product : signed(31 downto 0);
    signal total_held, base : signed(47 downto 0);
begin
    base <= (others => '0') when use_zero = '1' else
            total_held when use_total = '1' else
            signed(addend);

    process (clk)
    begin
        if rising_edge(clk) then
            if enable = '1' then
                weight_held <= signed(weight);
            else
                weight_held <= (others => '0');
            end if;
            activation_held <= signed(activation);
            product <= weight_held * activation_held;
            total_held <= base + resize(product, 48);
        end if;
    end process;

    total <= unsigned(total_held);
end architecture;
