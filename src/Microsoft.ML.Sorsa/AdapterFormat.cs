namespace Microsoft.ML.Sorsa;

/// <summary>How an adapter is written.</summary>
public enum AdapterFormat
{
    /// <summary>
    /// Our own: adapter.json and adapter.safetensors. Every method; loads onto the same base without another decomposition, and gives the
    /// trained model again to the last bit. A checksum finds what was damaged or edited.
    /// </summary>
    Sorsa,

    /// <summary>
    /// Hugging Face PEFT's: LoRA, rsLoRA, DoRA and PiSSA, each as what it is. PEFT decomposes PiSSA's base anew, exactly: PiSSA is refused
    /// where training started from a randomised decomposition, as of large matrices, or beside a quantised base. (A base that was
    /// quantised is not in the file: PEFT must be given it quantised, or computes a slightly other model.)
    /// </summary>
    Peft,

    /// <summary>
    /// An ordinary LoRA adapter in PEFT's format over the untouched base, for every LoRA consumer: SORSA and PiSSA at rank 2r, as the
    /// difference of what was trained and what it started from; AdaLoRA, LoRA and rsLoRA at their own rank.
    /// </summary>
    LoraDifference,

    /// <summary>
    /// The same as <see cref="LoraDifference"/>, as one file that llama.cpp, Ollama and LLamaSharp load beside the base's GGUF file
    /// (<see cref="SorsaGgufExtensions.SaveGguf"/>): DoRA, and what was trained beside a quantised base, are refused.
    /// </summary>
    Gguf,
}
