namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>A tensor that files keep of an adapter.</summary>
/// <param name="Name">Its name there, behind the projection's.</param>
/// <param name="Axes">Its shape.</param>
internal sealed record AdapterTensor(string Name, params Axis[] Axes)
{
    /// <summary>LoRA's A, and what every LoRA-like method of PEFT calls so.</summary>
    public static AdapterTensor LoraA { get; } = new("lora_A", Axis.Rank, Axis.In) { PeftName = "lora_A.weight" };

    /// <summary>LoRA's B.</summary>
    public static AdapterTensor LoraB { get; } = new("lora_B", Axis.Out, Axis.Rank) { PeftName = "lora_B.weight" };

    /// <summary>The product that training started from, where W lost it: B of it.</summary>
    public static AdapterTensor StartB { get; } = new(LowRankAdapter.StartB, Axis.Out, Axis.Rank);

    /// <summary>A of it.</summary>
    public static AdapterTensor StartA { get; } = new(LowRankAdapter.StartA, Axis.Rank, Axis.In);

    /// <summary>Its name in PEFT's files; null where they lack it.</summary>
    public string? PeftName { get; init; }

    /// <summary>The shape in an adapter of rank r over a weight [out, in].</summary>
    public long[] Shape(long rows, long columns, long rank) =>
        [.. Axes.Select(axis => axis switch { Axis.Out => rows, Axis.In => columns, Axis.Rank => rank, _ => 1 })];
}

/// <summary>What an axis of a tensor runs over.</summary>
internal enum Axis
{
    /// <summary>The outputs of the projection.</summary>
    Out,

    /// <summary>Its inputs.</summary>
    In,

    /// <summary>r.</summary>
    Rank,

    /// <summary>Nothing: an axis of size 1.</summary>
    One,
}

/// <summary>How PEFT's adapter_config.json says that a LORA adapter is of this method.</summary>
/// <param name="UseRsLora">use_rslora: c = lora_alpha / √r.</param>
/// <param name="UseDora">use_dora.</param>
/// <param name="InitLoraWeights">init_lora_weights, where the method's start changes the base: PEFT makes it again at every load.</param>
internal sealed record PeftForm(bool UseRsLora = false, bool UseDora = false, string? InitLoraWeights = null);
