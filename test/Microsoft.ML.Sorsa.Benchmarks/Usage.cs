namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>What each benchmark takes.</summary>
internal static class Usage
{
    private const string Lines = """
        step [model folder] [rounds] [methods...] [--device cpu|cuda] [--type float32|bfloat16] [--batch 1] [--tokens 256]
             [--threads 1]
        parts [model folder] [rounds] [methods...] [--device cpu|cuda] [--type float32|bfloat16] [--batch 1] [--tokens 256]
              [--operations]
        products [rank] [rounds] [--hidden 576] [--intermediate 1536] [--tokens 256] [--threads 1]
        rows [rounds] [--type float32|bfloat16|float16] [--tokens 256] [--hidden 576] [--heads 9] [--key-heads 3] [--head-dim 64]
             [--vocabulary 49152] [--threads 1]
        memory [model folder] [steps] [--device cpu|cuda] [--type float32|bfloat16]
        checkpointing [model folder] [rounds]
        service [model folder] [kinds...]
        decode [model folder] [new tokens] [rounds] [--device cpu|cuda] [--type float32|bfloat16|float16]
        chat [model folder] [callers] [new tokens] [rounds]
        gguf [model folder] [rounds]
        llama [model folder] [new tokens] [rounds] [--type float32|bfloat16]
        estimate [config.json] [tokens]
        ranks [model folder] [rounds] [--tokens 256], started by mpirun
        init [rank] [rounds] [--device cpu|cuda] [--type float32|bfloat16] [--hidden 4096] [--intermediate 11008] [--layers 32]
             [--exact]
        adapter [model folder] [rounds] [--device cpu|cuda] [--type float32|bfloat16]
        nf4 [model folder] [rank] [--device cpu|cuda] [--type float32|bfloat16]
        bits [--device cpu|cuda] [--type float32|bfloat16]
        checkpoint-cost [model folder] [rounds] [--device cpu|cuda] [--type float32|bfloat16] [--rank 16]
        gpu [--device cuda] [--type bfloat16] [--model FOLDER] [--budget SECONDS] [--rows BEGINNING,...] [--small]
        gpu-model FOLDER [--layers 32] [--hidden 4096] [--intermediate 11008] [--heads 32] [--vocabulary 32000] [--device cpu]
        resume [trainings]
        kills [kills]
        sweep [model folder] [trials]
        contention [rows] [rounds]
        tokenizers [folder of shared data]
        graders [folder of golden rows] [--show]
        analysis [model folder] [rounds] [--device cpu|cuda]
        """;

    public static string All => $"Usage: Microsoft.ML.Sorsa.Benchmarks NAME ..., where NAME ... is one of\n{Lines}";

    /// <summary>The lines of one benchmark; all where there is none of this name.</summary>
    public static string Of(string name)
    {
        string[] lines = Lines.Split('\n');
        int first = Array.FindIndex(lines, line => line.Split(' ')[0] == name);
        return first < 0
            ? All
            : $"Usage: {string.Join('\n', lines.Skip(first + 1).TakeWhile(line => line.StartsWith(' ')).Prepend(lines[first]))}";
    }
}
