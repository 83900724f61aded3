using System.Reflection;
using Microsoft.ML.Tokenizers;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Interop;

/// <summary>
/// Model and tokenizer of a pipeline by its shape: public properties Model and Tokenizer, as ML.NET GenAI's ICausalLMPipeline has them,
/// whose package is not needed.
/// </summary>
internal static class PipelineBinding
{
    /// <exception cref="ArgumentException">It has no such properties.</exception>
    public static (nn.Module Model, Tokenizer Tokenizer) Of(object pipeline)
    {
        if (pipeline is nn.Module)
        {
            throw new ArgumentException(
                $"{pipeline.GetType()} is a model and no pipeline. Give its tokenizer or its folder beside it: "
                + "FineTune(model, tokenizer, options) or FineTune(model, modelFolder, options).", nameof(pipeline));
        }

        return Find<nn.Module>(pipeline, "Model") is { } model && Find<Tokenizer>(pipeline, "Tokenizer") is { } tokenizer
            ? (model, tokenizer)
            : throw new ArgumentException(
                $"{pipeline.GetType()} is no pipeline: it must have a property Model that holds a TorchSharp module and a property "
                + "Tokenizer that holds one of Microsoft.ML.Tokenizers, as ML.NET GenAI's ICausalLMPipeline. For a model folder, set "
                + "ModelFolder in the options and call FineTune(options).", nameof(pipeline));
    }

    /// <summary>Of the class, or of an interface that it implements without showing it.</summary>
    private static T? Find<T>(object pipeline, string name)
        where T : class =>
        pipeline.GetType().GetInterfaces().Prepend(pipeline.GetType())
            .SelectMany(type => type.GetProperties(BindingFlags.Instance | BindingFlags.Public))
            .Where(property => property.Name == name && property.GetIndexParameters().Length == 0)
            .Select(property => property.GetValue(pipeline))
            .OfType<T>()
            .FirstOrDefault();
}
