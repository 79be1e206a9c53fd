-- The same as multiply_accumulate.vhd, as one explicit DSP48E2 (UltraScale+, AMD UG579): for synthesis
-- in its place.
-- Inference finds the slice, but spends 48 LUTs on the choice that the slice's own Z multiplexer can make.
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

architecture dsp48e2 of multiply_accumulate is
    component DSP48E2 is
        generic (
            AREG : integer := 1;
            ACASCREG : integer := 1;
            BREG : integer := 1;
            BCASCREG : integer := 1;
            CREG : integer := 1;
            DREG : integer := 1;
            ADREG : integer := 1;
            MREG : integer := 1;
            PREG : integer := 1;
            OPMODEREG : integer := 1;
            ALUMODEREG : integer := 1;
            INMODEREG : integer := 1;
            CARRYINREG : integer := 1;
            CARRYINSELREG : integer := 1
        );
        port (
            CLK : in std_logic;
            A : in std_logic_vector(29 downto 0);
            B : in std_logic_vector(17 downto 0);
            C : in std_logic_vector(47 downto 0);
            D : in std_logic_vector(26 downto 0);
            P : out std_logic_vector(47 downto 0);
            OPMODE : in std_logic_vector(8 downto 0);
            ALUMODE : in std_logic_vector(3 downto 0);
            INMODE : in std_logic_vector(4 downto 0);
            CARRYIN : in std_logic;
            CARRYINSEL : in std_logic_vector(2 downto 0);
            RSTA, RSTB, RSTC, RSTD, RSTM, RSTP, RSTCTRL, RSTALUMODE, RSTINMODE, RSTALLCARRYIN : in std_logic;
            CEA1, CEA2, CEB1, CEB2, CEC, CED, CEAD, CEM, CEP, CECTRL, CEALUMODE, CEINMODE, CECARRYIN : in std_logic;
            ACIN : in std_logic_vector(29 downto 0);
            BCIN : in std_logic_vector(17 downto 0);
            PCIN : in std_logic_vector(47 downto 0);
            CARRYCASCIN : in std_logic;
            MULTSIGNIN : in std_logic
        );
    end component;

    signal a : std_logic_vector(29 downto 0);
    signal b : std_logic_vector(17 downto 0);
    signal p : std_logic_vector(47 downto 0);
    signal opmode : std_logic_vector(8 downto 0);
    signal disable : std_logic;
begin
    a <= std_logic_vector(resize(signed(weight), 30));
    b <= std_logic_vector(resize(signed(activation), 18));
    disable <= not enable;
    -- Z: 0, P (the last total) or C (the addend); X and Y: the product; W: 0.
    opmode <= "000000101" when use_zero = '1' else
              "000100101" when use_total = '1' else
              "000110101";

    slice : DSP48E2
        generic map (
            AREG => 1, ACASCREG => 1, BREG => 1, BCASCREG => 1, CREG => 0, DREG => 0, ADREG => 0, MREG => 1,
            PREG => 1, OPMODEREG => 0, ALUMODEREG => 0, INMODEREG => 0, CARRYINREG => 0, CARRYINSELREG => 0
        )
        port map (
            CLK => clk,
            A => a, B => b, C => std_logic_vector(addend), D => (others => '0'), P => p,
            OPMODE => opmode, ALUMODE => (others => '0'), INMODE => (others => '0'), CARRYIN => '0',
            CARRYINSEL => (others => '0'),
            RSTA => disable, RSTB => '0', RSTC => '0', RSTD => '0', RSTM => '0', RSTP => '0',
            RSTCTRL => '0', RSTALUMODE => '0', RSTINMODE => '0', RSTALLCARRYIN => '0',
            CEA1 => '0', CEA2 => '1', CEB1 => '0', CEB2 => '1', CEC => '0', CED => '0', CEAD => '0', CEM => '1',
            CEP => '1', CECTRL => '0', CEALUMODE => '0', CEINMODE => '0', CECARRYIN => '0',
            ACIN => (others => '0'), BCIN => (others => '0'), PCIN => (others => '0'), CARRYCASCIN => '0',
            MULTSIGNIN => '0'
        );

    total <= unsigned(p);
end architecture;
