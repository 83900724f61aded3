global using CausalLMModelInput = Microsoft.ML.Sorsa.Tests.Interop.CausalLookAlikeInput;
global using CausalLMModelOutput = Microsoft.ML.Sorsa.Tests.Interop.CausalLookAlikeOutput;
using Microsoft.ML.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

#pragma warning disable IDE0130 // The namespace is that of the package.

namespace Microsoft.ML.GenAI.Core;

/// <summary>
/// What stands in for ML.NET GenAI's packages (v5.0.0 of dotnet/machinelearning), so that the tests of its classes, which are in
/// Microsoft.ML.Sorsa.GenAI.Tests, compile and run here as well: the names and signatures that they use, over the look-alikes.
/// </summary>
internal interface ICausalLMPipeline
{
    Tokenizer Tokenizer { get; }

    nn.Module<CausalLMModelInput, CausalLMModelOutput> Model { get; }

    (Tensor, Tensor) Generate(
        Tensor inputIds, Tensor attentionMask, int[][] stopTokenSequence, float temperature = 0.7f, float topP = 0.9f, int maxLen = 128);
}

/// <summary>Greedy alone, and without a cache.</summary>
internal sealed class CausalLMPipeline(
    Tokenizer tokenizer, nn.Module<CausalLMModelInput, CausalLMModelOutput> model, string device = "cpu") : ICausalLMPipeline
{
    public Tokenizer Tokenizer => tokenizer;

    public nn.Module<CausalLMModelInput, CausalLMModelOutput> Model => model;

    public Device Device { get; } = torch.device(device);

    /// <summary>The prompt with what follows it, but for the token that ends it; and the logits of the last token.</summary>
    public (Tensor, Tensor) Generate(
        Tensor inputIds, Tensor attentionMask, int[][] stopTokenSequence, float temperature = 0.7f, float topP = 0.9f, int maxLen = 128)
    {
        Assert.AreEqual(0, temperature);
        using var noGrad = no_grad();
        Tensor? logits = null;
        for (int i = 0; i < maxLen; i++)
        {
            model.modules().OfType<Sorsa.Tests.Interop.CacheHolder>().Single().UseCache(null);
            logits = model.forward(new CausalLMModelInput(inputIds, useCache: false)).Logits!;
            Tensor next = logits[.., -1].argmax(-1).unsqueeze(1);
            if (stopTokenSequence.Any(stop => stop is [int only] && next[0, 0].item<long>() == only))
            {
                break;
            }

            inputIds = cat([inputIds, next], 1);
        }

        return (inputIds, logits!);
    }
}
